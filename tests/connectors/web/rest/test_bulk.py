"""Bulk exports through the gateway: what they hold, and what they leave behind."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from fhir.resources.R4B import get_fhir_model_class
from pydantic import SecretStr

from connectors.redis.client import client as connect
from connectors.redis.keys import Keys
from connectors.web.bulk import DONE, FAILED, RUNNING, Exports, Order
from flows.adt.bulk import TYPES
from tests.connectors.web.care import KEYS, Care, ago, message
from tests.connectors.web.rest.rig import Issuer, serving, settings
from tests.operators.adt.fhir.rules import RULES, compiled, found
from tests.waiting import eventually

ASYNC = {"Prefer": "respond-async"}
SCOPE = "system/*.read"
BED, OTHER = "ICU^1^1", "W2^1^1"


@pytest.fixture
def care(redis_url, monkeypatch):
    monkeypatch.setenv("HEADRACE_SEALING__KEYS", KEYS.text())
    return Care(redis_url)


@pytest.fixture
def gateway(redis_url, tmp_path, care):
    """``with gateway(**feed) as client``: the REST half, whose exports lie in tmp_path."""

    @contextmanager
    def begun(tokens: Any = None, **feed: Any):
        asked = {"exports": tmp_path / "exports", "unseal": True, **feed}
        with serving(settings(redis_url, **asked), tokens) as client:
            yield client

    return begun


def begin(client: httpx2.Client, path: str = "/fhir/$export", **headers: str) -> httpx2.Response:
    return client.get(path, headers=ASYNC | headers)


def finished(client: httpx2.Client, path: str = "/fhir/$export", **headers: str) -> dict[str, Any]:
    """The manifest of an export, once it is done."""
    begun = begin(client, path, **headers)
    assert begun.status_code == 202, begun.text
    where = begun.headers["content-location"]
    answer = eventually(lambda: (a := client.get(where, headers=headers)).status_code != 202 and a)
    assert answer.status_code == 200, answer.text
    return {**answer.json(), "where": where, "expires": answer.headers["expires"]}


def exported(client: httpx2.Client, path: str = "/fhir/$export", **headers: str):
    """The resources of an export by type, each checked."""
    manifest, held = finished(client, path, **headers), {}
    for output in manifest["output"]:
        answer = client.get(output["url"], headers=headers)
        assert answer.headers["content-type"] == "application/fhir+ndjson"
        lines = answer.text.splitlines()
        held[output["type"]] = [orjson.loads(line) for line in lines]
        assert len(lines) == output["count"]
        for resource in held[output["type"]]:
            check(resource)
    return held


def check(resource: dict[str, Any]) -> None:
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    for rule in RULES.get(resource["resourceType"], ()):
        assert compiled(rule)(resource) == [True], f"{rule}: {resource}"


def references_of(held: dict[str, list[dict[str, Any]]]) -> set[str]:
    return {each for kind in held.values() for res in kind for each in found(res, "reference")}


def names_of(held: dict[str, list[dict[str, Any]]]) -> set[str]:
    return {f"{kind}/{each['id']}" for kind, some in held.items() for each in some}


def numbers(patients: list[dict[str, Any]]) -> set[str]:
    return {each["identifier"][-1]["value"] for each in patients}


def result(visit: str, value: str) -> bytes:
    when = f"{ago(1):%Y%m%d%H%M%S}+0000"
    return "\r".join(
        [
            rf"MSH|^~\&|LAB|GH|HEADRACE|GH|{when}||ORU^R01|1|P|2.5.1",
            f"PID|1||P{visit[1:]}^^^GH^MR||TESTCASE^ALPHA",
            f"PV1|1|I|{BED}|||{'|' * 13}{visit}^^^GH^VN",
            f"OBR|1||F1|CBC|||{when}",
            f"OBX|1|NM|718-7^Hemoglobin^LN||{value}|g/L|||||F|||{when}",
            "",
        ]
    ).encode()


DIAGNOSIS = "DG1|1||I50.9^Heart failure^I10C||20260101|F"


def attended(raw: bytes) -> bytes:
    """The message with a doctor, who attends (PV1-7)."""
    head, pv1 = raw.split(b"PV1|")
    fields = pv1.split(b"|")
    fields[6] = b"D1^Welby^Marcus"
    return b"PV1|".join([head, b"|".join(fields)])


def ward_messages() -> list[bytes]:
    """Two patients of the intensive care unit, and one of ward 2; one has a diagnosis and a result.

    P9 was merged into P1.
    """
    return [
        message("A01", "V1", BED, ago(5), behind=DIAGNOSIS),
        message("A01", "V2", "ICU^1^2", ago(4)),
        attended(message("A01", "V3", OTHER, ago(3))),
        result("V1", "118"),
        message("A40", "V1", BED, ago(2), behind="MRG|P9^^^GH^MR"),
    ]


def ward(care: Care) -> None:
    care.tell(*ward_messages())


def test_everything_is_exported_valid_and_refers_to_what_is_there(care, gateway):
    ward(care)
    with gateway() as client:
        held = exported(client)
    assert set(held) == set(TYPES)
    assert numbers(held["Patient"]) == {"P1", "P2", "P3", "P9"}
    assert len(held["Encounter"]) == 3
    assert len(held["Condition"]) == len(held["Observation"]) == 1
    assert len(held["Location"]) == 3
    assert references_of(held) <= names_of(held)


def test_who_was_merged_is_inactive_and_the_survivor_has_the_link(care, gateway):
    ward(care)
    with gateway() as client:
        patients = exported(client, "/fhir/$export?_type=Patient")["Patient"]
    by_number = {each["identifier"][-1]["value"]: each for each in patients}
    merged, survivor = by_number["P9"], by_number["P1"]
    assert merged["active"] is False
    assert merged["link"][0] == {
        "other": {"reference": f"Patient/{survivor['id']}"}, "type": "replaced-by",
    }  # fmt: skip
    assert survivor["active"] is True
    assert survivor["link"][0]["type"] == "replaces"


def test_a_group_is_a_ward_with_what_its_visits_name(care, gateway):
    ward(care)
    with gateway() as client:
        held = exported(client, "/fhir/Group/ICU/$export")
        assert exported(client, "/fhir/Group/NOWHERE/$export") == {}
    assert numbers(held["Patient"]) == {"P1", "P2", "P9"}
    assert {each["name"] for each in held["Location"]} == {"ICU 1 1", "ICU 1 2"}
    assert references_of(held) <= names_of(held)


def test_since_tells_a_members_changes_though_the_patient_is_as_before(care, gateway):
    ward(care)
    with gateway() as client:
        since = finished(client)["transactionTime"]
        time.sleep(0.01)  # the streams count milliseconds
        care.tell(message("A02", "V1", "ICU^1^3", ago(1), prior=BED), result("V3", "90"))
        held = exported(client, f"/fhir/Group/ICU/$export?_since={since}")
        assert "Patient" not in held
        [visit] = held["Encounter"]
        assert visit["identifier"][-1]["value"] == "V1"
        assert "Observation" not in held
        again = exported(client, f"/fhir/$export?_since={since}&_type=Observation")
        assert len(again["Observation"]) == 1


def test_since_tells_what_was_taken_back(care, gateway):
    ward(care)
    with gateway() as client:
        since = finished(client)["transactionTime"]
        time.sleep(0.01)
        care.tell(message("A08", "V1", BED, ago(0.5), behind="DG1|1||J18.9^Pneumonia^I10C|||F"))
        held = exported(client, f"/fhir/$export?_since={since}&_type=Condition")["Condition"]
    status = [each["verificationStatus"]["coding"][0]["code"] for each in held]
    assert sorted(status) == ["confirmed", "entered-in-error"]


def test_until_leaves_out_what_changed_later(care, gateway):
    ward(care)
    with gateway() as client:
        until = finished(client)["transactionTime"]
        time.sleep(0.01)
        care.tell(message("A02", "V1", "ICU^1^3", ago(1), prior=BED))
        held = exported(client, f"/fhir/$export?_until={until}&_type=Encounter")
    assert {each["identifier"][-1]["value"] for each in held["Encounter"]} == {"V2", "V3"}


def test_changes_that_the_streams_forgot_give_everything_and_a_note(care, gateway, redis_url):
    ward(care)
    with gateway() as client:
        since = finished(client)["transactionTime"]
        time.sleep(0.01)
        care.tell(message("A02", "V1", "ICU^1^3", ago(1), prior=BED))
        stream = Keys("adt", 1).stream("encounters")
        connect(SecretStr(redis_url)).xtrim(stream, maxlen=1, approximate=False)
        time.sleep(0.01)
        manifest = finished(client, f"/fhir/$export?_since={since}&_type=Encounter")
        [note] = manifest["error"]
        assert client.get(note["url"]).json()["issue"][0]["severity"] == "information"
        assert manifest["output"][0]["count"] == 3
        begun = begin(client, "/fhir/$export?_until=2001-01-01T00:00:00Z")
        where = begun.headers["content-location"]
        answer = eventually(lambda: (a := client.get(where)).status_code != 202 and a)
    assert answer.status_code == 400
    assert answer.json()["resourceType"] == "OperationOutcome"


def outcome(answer: httpx2.Response, status: int) -> str:
    """What an OperationOutcome says."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/fhir+json"
    get_fhir_model_class("OperationOutcome").model_validate(answer.json())
    found: str = answer.json()["issue"][0]["diagnostics"]
    return found


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("_elements=id", "_elements"),
        ("_type=Patient,Immunization", "_type"),
        ("_since=yesterday", "_since"),
        ("_since=2026-03-05", "_since"),
        ("_since=2026-03-05T08:00:00", "_since"),
        ("_until=17", "_until"),
        ("_outputFormat=text/csv", "_outputFormat"),
        ("_since=2026-03-05T08:00:00Z&_since=2026-03-05T08:00:00Z", "_since"),
    ],
)
def test_what_is_unknown_is_refused(gateway, query, named):
    with gateway() as client:
        assert outcome(begin(client, f"/fhir/$export?{query}"), 400).startswith(named)


def test_lenient_handling_lets_what_is_unknown_pass(care, gateway):
    ward(care)
    lenient = {"Prefer": "respond-async, handling=lenient"}
    with gateway() as client:
        held = exported(client, "/fhir/$export?_elements=id&_type=Patient,Immunization", **lenient)
    assert set(held) == {"Patient"}


def test_formats_have_short_forms(gateway):
    with gateway() as client:
        for told in ("application/fhir+ndjson", "application/ndjson", "ndjson"):
            begun = begin(client, f"/fhir/$export?_outputFormat={told}")
            assert begun.status_code == 202
            client.delete(begun.headers["content-location"])


def test_an_export_is_asynchronous_or_refused(gateway):
    with gateway() as client:
        assert "respond-async" in outcome(client.get("/fhir/$export"), 400)
        head = client.head("/fhir/$export", headers=ASYNC)
        assert head.status_code == 400


def test_who_may_not_is_refused_and_audited(care, gateway, tmp_path):
    ward(care)
    issuer, trail = Issuer(tmp_path), tmp_path / "reads.jsonl"
    ward_only = issuer.header(SCOPE, rows={"wards": ["ICU"]})
    with gateway(issuer.tokens, audit=trail, jwks=issuer.jwks) as client:
        assert outcome(begin(client), 401)
        answer = begin(client, **issuer.header("read:*.* unseal"))
        assert SCOPE in outcome(answer, 403)
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
        assert "rows" in outcome(begin(client, **ward_only), 403)
    entries = [orjson.loads(line)["what"] for line in trail.read_bytes().splitlines()]
    assert [each["outcome"] for each in entries] == ["4", "4"]


def test_an_export_is_of_who_asked_for_it_and_audited(care, gateway, tmp_path):
    ward(care)
    issuer, trail = Issuer(tmp_path), tmp_path / "reads.jsonl"
    hers, his = issuer.header(SCOPE), issuer.header("system/*.rs", sub="bob")
    with gateway(issuer.tokens, audit=trail, jwks=issuer.jwks) as client:
        manifest = finished(client, "/fhir/$export?_type=Patient", **hers)
        assert manifest["requiresAccessToken"] is True
        [file] = manifest["output"]
        outcome(client.get(manifest["where"], headers=his), 404)
        outcome(client.get(file["url"], headers=his), 404)
        outcome(client.get(file["url"]), 401)
        assert client.get(file["url"], headers=hers).status_code == 200
    entries = [orjson.loads(line)["what"] for line in trail.read_bytes().splitlines()]
    assert [each["subtype"][0]["code"] for each in entries] == ["export", "export"]
    what = [each["entity"][0]["what"]["identifier"]["value"] for each in entries]
    assert what == ["fhir", "fhir.Patient"]
    assert entries[1]["entity"][0]["detail"][0]["valueString"] == "4"
    assert len(entries[1]["entity"]) == 1 + 3  # those of whom there are records
    assert b"P1" not in trail.read_bytes()


def test_nothing_is_exported_where_nobody_may_unseal(gateway):
    with gateway(unseal=False) as client:
        assert "unseal" in outcome(begin(client), 403)


def test_nothing_is_exported_that_cannot_be_audited(care, gateway, tmp_path):
    ward(care)
    trail = tmp_path / "audit"
    with gateway(audit=trail / "reads.jsonl") as client:
        manifest = finished(client)
        (trail / "reads.jsonl").unlink()
        outcome(client.get(manifest["output"][0]["url"]), 503)
        outcome(begin(client), 503)


def test_files_rest_sealed_and_go_with_delete(care, gateway, tmp_path):
    ward(care)
    with gateway() as client:
        manifest = finished(client)
        files = [path for path in (tmp_path / "exports").rglob("*") if path.is_file()]
        assert {path.name for path in files} == {*TYPES, "lock"}
        for path in files:
            assert b"resourceType" not in path.read_bytes()
            assert b"TESTCASE" not in path.read_bytes()
        assert client.delete(manifest["where"]).status_code == 202
        outcome(client.get(manifest["where"]), 404)
        outcome(client.get(manifest["output"][0]["url"]), 404)
        outcome(client.delete(manifest["where"]), 404)
        left = [path.name for path in (tmp_path / "exports").rglob("*") if path.is_file()]
        assert left == ["lock"]
    assert not list((tmp_path / "exports").iterdir())


def test_a_file_that_was_altered_is_not_served(care, gateway, tmp_path):
    ward(care)
    with gateway() as client:
        manifest = finished(client)
        [path] = (tmp_path / "exports").rglob("Patient")
        path.write_bytes(path.read_bytes()[:-1])
        url = next(each["url"] for each in manifest["output"] if each["type"] == "Patient")
        answer = client.get(url)
    assert answer.status_code == 500
    assert "TESTCASE" not in answer.text


def test_one_export_runs_at_a_time_and_delete_ends_it(care, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"  # which never answers
        with serving(settings(url, exports=tmp_path / "exports", unseal=True)) as client:
            where = begin(client).headers["content-location"]
            busy = begin(client)
            assert outcome(busy, 429)
            assert busy.headers["retry-after"]
            told = client.get(where)
            assert told.status_code == 202
            assert told.headers["x-progress"]
            assert told.headers["retry-after"]
            assert client.delete(where).status_code == 202
            outcome(client.get(where), 404)
            assert begin(client).status_code == 202


def test_a_server_that_is_away_fails_the_export(care, tmp_path):
    with serving(settings(exports=tmp_path / "exports", unseal=True)) as client:
        where = begin(client).headers["content-location"]
        answer = eventually(lambda: (a := client.get(where)).status_code != 202 and a)
        assert "Redis" in outcome(answer, 503)
        left = [path.name for path in (tmp_path / "exports").rglob("*") if path.is_file()]
    assert left == ["lock"]


def made(redis_url: str, directory: Path, most_bytes: int = 1 << 30, kept_s: float = 60.0):
    return Exports("flows.adt.bulk", TYPES, directory, redis_url, KEYS, most_bytes, kept_s)


def test_what_expires_is_deleted(care, redis_url, tmp_path):
    ward(care)
    exports = made(redis_url, tmp_path / "exports", kept_s=0.5)
    job = exports.start(Order(TYPES), "ann", "http://x/fhir/$export")
    eventually(lambda: job.state != RUNNING)
    assert job.state == DONE, job.failure
    eventually(lambda: exports.job(job.name, "ann") is None and not job.directory.exists())
    exports.close()


def test_a_start_deletes_what_a_crash_left_and_nothing_of_others(care, redis_url, tmp_path):
    left = tmp_path / "exports" / "0123"
    left.mkdir(parents=True)
    (left / "lock").touch()
    (left / "Patient").write_bytes(b"sealed")

    one, two = (made(redis_url, tmp_path / "exports") for _ in range(2))
    one.open()
    assert not left.exists()
    [own] = (tmp_path / "exports").iterdir()
    two.open()
    assert own.exists()
    one.close()
    assert not own.exists()
    two.close()


@pytest.mark.parametrize("most_bytes", [1, 150_000])
def test_an_export_that_needs_more_room_than_there_is_says_so(
    care, redis_url, tmp_path, most_bytes
):
    """There is no room for the copy, or for the files behind it."""
    care.tell(*(message("A01", f"V{each}", BED, ago(5)) for each in range(200)))
    exports = made(redis_url, tmp_path / "exports", most_bytes)
    job = exports.start(Order(TYPES), "ann", "http://x/fhir/$export")
    eventually(lambda: job.state != RUNNING)
    assert job.state == FAILED
    assert job.failure.status == 413
    assert not job.directory.exists()
    exports.close()


def test_an_export_is_of_one_moment_though_records_come_meanwhile(care, gateway):
    """A patient is moved on and on: the visit's status and timeline are of some moment of it."""
    ward(care)
    stop = threading.Event()

    def moving() -> None:
        for step in range(10_000):
            if stop.is_set():
                return
            care.tell(message("A01", f"V{100 + step}", BED, ago(1)))

    thread = threading.Thread(target=moving)
    thread.start()
    try:
        with gateway() as client:
            for _ in range(3):
                held = exported(client)
                assert references_of(held) <= names_of(held)
    finally:
        stop.set()
        thread.join()
