"""What a FHIR server is sent, and what becomes of what it does not take."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from datetime import UTC, datetime
from random import Random

import pytest

from connectors.fhir.server import MOST, Server
from operators.adt.fhir.resources import Resources
from operators.outputs import Outputs
from state.errors import SettingsError, Stopped
from state.lifecycle import Lifecycle
from tests.connectors.fhir.endpoint import Endpoint, outcome, serving
from tests.operators.adt.fhir.records import block, change, hashed, stay
from tests.waiting import PATIENCE_S

NOW = datetime(2024, 3, 5, 8, tzinfo=UTC)


class Waits(Lifecycle):
    """Notes the pauses, and makes none."""

    def __init__(self, most: int = 1_000_000) -> None:
        super().__init__()
        self.pauses: list[tuple[str, float]] = []
        self._most = most

    def wait(self, sink: str, reason: str, seconds: float) -> None:
        self.pauses.append((reason, seconds))
        if len(self.pauses) > self._most:
            raise Stopped(sink)


@pytest.fixture
def endpoint():
    return Endpoint()


@pytest.fixture
def base(endpoint):
    with serving(endpoint) as url:
        yield url


def items(*changes):
    """What the flow hands to the server."""
    found = Resources(8, hashed).process(block(*changes), Outputs())
    return [("0", each) for each in found]


def server(base, lifecycle=None, token=""):
    return Server(base, token, lifecycle or Waits(), Random(1), lambda: NOW)


def patients(count):
    return [change("patients", patient=f"{n}^^^GH", family=f"F{n}") for n in range(count)]


EVERYTHING = [
    change("observations"),
    change("conditions"),
    change("location_visits", stays=[stay("4W^1^A", "08:00")]),
    change("encounters", attending="D1^A^B"),
    change("patients", merged=["2^^^GH"], family="Doe"),
]


def test_all_of_a_patient_arrives_and_refers_to_each_other(endpoint, base):
    assert list(server(base).take(items(*EVERYTHING))) == []
    kinds = {place.partition("/")[0] for place in endpoint.resources}
    assert kinds == {
        "Patient", "Encounter", "Location", "Practitioner", "Condition", "Observation",
        "Provenance",
    }  # fmt: skip
    [encounter] = endpoint.of("Encounter")
    assert encounter["status"] == "in-progress"
    patient = endpoint.resources[encounter["subject"]["reference"]]
    assert patient["name"] == [{"family": "Doe"}]
    assert len(endpoint.of("Patient")) == 2
    for kind in ("Condition", "Observation"):
        [found] = endpoint.of(kind)
        assert endpoint.resources[found["encounter"]["reference"]] == encounter
        assert endpoint.resources[found["subject"]["reference"]] == patient


def test_what_is_sent_again_changes_nothing(endpoint, base):
    for _ in range(2):
        for each in items(*EVERYTHING):  # one by one: what is there is found again
            assert list(server(base).take([each])) == []
        held, versions = dict(endpoint.resources), dict(endpoint.versions)
    assert list(server(base).take(items(*EVERYTHING))) == []
    assert (endpoint.resources, endpoint.versions) == (held, versions)


def test_changes_go_in_order_and_as_many_at_a_time_as_may(endpoint, base):
    changes = [*patients(MOST), change("patients", patient="0^^^GH", family="Last")]
    assert list(server(base).take(items(*changes))) == []
    assert len(endpoint.sizes) == 2
    names = {each["name"][0]["family"] for each in endpoint.of("Patient")}
    assert "Last" in names
    assert "F0" not in names


@pytest.mark.parametrize(
    ("answers", "reasons"),
    [
        ([(503, {}, None)] * 3, ["status 503"] * 3),
        ([(409, {}, None)] * 10, ["status 409"] * 10),
        ([(503, {"Retry-After": "Fri, 31 Dec 9999 23:59:59 -1200"}, None)], ["status 503"]),
        ([(429, {"Retry-After": "7"}, None)], ["status 429"]),
        ([(429, {"Retry-After": "Tue, 05 Mar 2024 08:00:07 GMT"}, None)], ["status 429"]),
        ([(500, {"Retry-After": "soon"}, None)], ["status 500"]),
    ],
)
def test_a_busy_server_is_waited_for(endpoint, base, answers, reasons):
    endpoint.next = list(answers)
    lifecycle = Waits()
    assert list(server(base, lifecycle).take(items(*patients(1)))) == []
    assert [reason for reason, _ in lifecycle.pauses] == reasons
    if "7" in str(answers[0][1]):
        assert lifecycle.pauses[0][1] == 7.0
    assert len(endpoint.of("Patient")) == 1
    assert lifecycle.waiting == {}


def test_pauses_grow_to_a_bound_and_differ():
    lifecycle = Waits(200)
    with pytest.raises(Stopped):
        list(server("http://127.0.0.1:9/fhir", lifecycle).take(items(*patients(1))))
    seconds = [each for _, each in lifecycle.pauses]
    assert seconds[0] <= 0.1
    assert 20.0 < max(seconds) <= 30.0
    assert len(set(seconds)) == len(seconds)


def test_a_server_that_comes_back_gets_everything():
    endpoint, lifecycle = Endpoint(), Lifecycle()
    with ExitStack() as stack:
        with serving(endpoint) as url:
            pass
        port = int(url.split(":")[2].split("/")[0])
        sender = threading.Thread(
            target=lambda: list(server(url, lifecycle).take(items(*patients(3)))), daemon=True
        )
        sender.start()
        while not lifecycle.waiting:
            assert sender.is_alive()
        stack.enter_context(serving(endpoint, port))
        sender.join(PATIENCE_S)
        assert not sender.is_alive()
    assert len(endpoint.of("Patient")) == 3


def test_one_bad_change_is_a_dead_letter_and_the_others_arrive(endpoint, base):
    endpoint.refuses = lambda resource: "F5" in str(resource.get("name"))
    [(shard, letter)] = server(base).take(items(*patients(16)))
    assert shard == "0"
    assert letter.error == "Refused"
    assert letter.reason == "status 422 business-rule at Patient.name"
    assert (letter.key, letter.value, letter.timestamp_ns) == (b"key", b"sealed", 5)
    assert letter.coordinates.topic == "adt.patients"
    names = {each["name"][0]["family"] for each in endpoint.of("Patient")}
    assert names == {f"F{n}" for n in range(16) if n != 5}


def test_a_conflict_that_lasts_is_a_dead_letter(endpoint, base):
    endpoint.next = [(409, {}, None)] * 11
    [(_, letter)] = server(base, Waits()).take(items(*patients(1)))
    assert letter.reason == "status 409"


@pytest.mark.parametrize(
    "answer",
    [
        (400, {}, outcome("Doe, John", "born 1961-04-12")),
        (400, {}, {"issue": [{"code": ["x"], "expression": "x"}]}),
        (400, {}, "text of Doe"),
        (400, {}, {"issue": "x"}),
    ],
)
def test_a_reason_holds_no_text_of_the_server(endpoint, base, answer):
    endpoint.next = [answer]
    [(_, letter)] = server(base).take(items(*patients(1)))
    assert letter.reason == "status 400"


@pytest.mark.parametrize("status", [401, 403, 404, 405, 302])
def test_a_wrong_login_or_address_stops_and_loses_nothing(endpoint, base, status):
    endpoint.next = [(status, {}, None)]
    with pytest.raises(SettingsError, match=r"adt\.fhir_"):
        list(server(base, token="TOPSECRET").take(items(*patients(1))))


def test_the_token_is_sent_and_nothing_without_one(endpoint, base):
    list(server(base, token="abc").take(items(*patients(1))))
    assert endpoint.headers["Authorization"] == "Bearer abc"
    assert endpoint.headers["Content-Type"] == "application/fhir+json"
    list(server(base).take(items(*patients(1))))
    assert "Authorization" not in endpoint.headers
