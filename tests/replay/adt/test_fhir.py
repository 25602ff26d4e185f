"""`headrace import fhir`: what we export comes back as the same tables, and bad input is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from flows.__main__ import main
from operators.adt.fhir.export import TYPES, Export
from state.sealing import Keyring
from tests.connectors.web.care import ago, message
from tests.connectors.web.rest.test_bulk import ward_messages
from tests.operators.adt.fhir.records import KEYS, hashed
from tests.operators.adt.tables import tables
from tests.operators.adt.test_cases import raws_of
from tests.reference.test_adt_cases import BY_NAME, needs_cases
from tests.replay.recordings import read

LOST = {"conditions": {"rank"}, "observations": {"filler", "sub_id", "nth", "observation"}}
"""Columns that resources do not say."""


class Held:
    """Tables as an export reads them."""

    def __init__(self, rows: dict[str, list[dict[str, Any]]]) -> None:
        passing = {"ts_ns": 1_709_625_600 * 10**9, "because": [], "id": "x", "wards": []}
        self._held: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in KEYS}
        for name, key in KEYS.items():
            for row in rows[name]:
                known = self._held[name].setdefault("|".join(row[part] for part in key), {})
                known |= passing | row | {"stays": [*known.get("stays", ()), row]}
        for record in self._held["location_visits"].values():
            record["stays"].sort(key=lambda stay: stay["start"])

    def records(self, output: str) -> Iterator[tuple[str, dict[str, Any]]]:
        yield from self._held[output].items()

    def record(self, output: str, key: str) -> dict[str, Any] | None:
        return self._held[output].get(key)

    def has(self, output: str, key: str) -> bool:
        return key in self._held[output]

    def counts(self, key: str, *outputs: str) -> bool:
        return True

    def gone(self, output: str) -> Iterator[str]:
        return iter(())


def exported(raws: Sequence[bytes], directory: Path) -> dict[str, Any]:
    """The tables of messages, which are exported into a file for each type."""
    found = tables(raws)
    directory.mkdir()
    for resource in Export(Held(found), hashed, TYPES).resources():
        with (directory / f"{resource['resourceType']}.ndjson").open("ab") as file:
            file.write(orjson.dumps(resource) + b"\n")
    return found


def imported(directory: Path, capsys: Any) -> dict[str, Any]:
    """The tables of what is imported from a directory."""
    out = directory.parent / "out.parquet"
    assert main(["import", "fhir", str(directory), "--out", str(out), "--plaintext"]) == 0
    capsys.readouterr()
    return tables([record.value for record in read(out) if record.value])


def without_lost(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept = [{k: v for k, v in row.items() if k not in LOST.get(name, ())} for row in rows]
    return sorted(kept, key=orjson.dumps)


@pytest.mark.parametrize("name", [*KEYS])
def test_what_is_exported_comes_back(tmp_path, capsys, name):
    raws = [
        *ward_messages(),
        message("A02", "V1", "W2^1^1", ago(1.5), prior="ICU^1^1"),
        message("A06", "V2", "ICU^1^3", ago(1.2)),
        message("A03", "V2", "ICU^1^3", ago(1)),
        message("A05", "V7", "W2^1^2", ago(0.5)),
    ]
    before = exported(raws, tmp_path / "ndjson")
    after = imported(tmp_path / "ndjson", capsys)
    assert before[name]
    assert without_lost(name, after[name]) == without_lost(name, before[name])


CASES = [name for name, case in BY_NAME.items() if not case.get("settings")]
"""Those that need no settings, which an import has not."""


@needs_cases
@pytest.mark.parametrize("case", CASES)
def test_the_cases_of_the_field_come_back(tmp_path, capsys, case):
    raws = [raw for file in BY_NAME[case]["input"]["files"] for raw in raws_of(file)]
    before = exported(raws, tmp_path / "ndjson")
    if not list((tmp_path / "ndjson").iterdir()):
        pytest.skip("it has no patient")
    after = imported(tmp_path / "ndjson", capsys)
    for name in KEYS:
        assert without_lost(name, after[name]) == without_lost(name, before[name]), name


PATIENT = {
    "resourceType": "Patient", "id": "p", "meta": {"lastUpdated": "2024-03-05T08:00:00Z"},
    "identifier": [{"system": "urn:oid:1.2.3", "value": "SECRET7"}],
    "name": [{"family": "Hidden|man", "given": ["Ada", "May"]}], "gender": "female",
    "birthDate": "1961-04",
}  # fmt: skip
VISIT = {
    "resourceType": "Encounter", "id": "e", "status": "finished", "class": {"code": "IMP"},
    "identifier": [{"value": "V1"}], "subject": {"reference": "urn:uuid:p"},
    "period": {"start": "2024-03-05T08:00:00+01:00", "end": "2024-03-06T08:00:00+01:00"},
    "location": [{"location": {"reference": "urn:uuid:l"}}],
}  # fmt: skip
WARD = {"resourceType": "Location", "id": "l", "name": "North"}


def bundle(*resources: dict[str, Any]) -> bytes:
    entries = [{"fullUrl": f"urn:uuid:{each['id']}", "resource": each} for each in resources]
    return orjson.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries})


def test_a_bundle_of_another_system_is_taken(tmp_path, capsys):
    directory = tmp_path / "in"
    directory.mkdir()
    (directory / "all.json").write_bytes(bundle(VISIT, WARD, PATIENT))
    found = imported(directory, capsys)
    [patient] = found["patients"]
    assert patient["patient"] == "SECRET7^^^1.2.3"
    assert (patient["family"], patient["given"]) == ("Hidden|man", "Ada May")
    assert (patient["birth_date"], patient["sex"]) == ("1961-04", "F")
    [visit] = found["encounters"]
    assert (visit["status"], visit["class"]) == ("finished", "I")
    assert visit["admitted"] == "2024-03-05T07:00:00Z"
    [stay] = found["location_visits"]
    assert stay["location"] == "North"


def test_what_is_not_taken_is_counted(tmp_path, capsys):
    path = tmp_path / "a.ndjson"
    drug = {"resourceType": "MedicationRequest", "id": "m"}
    path.write_bytes(b"\n".join(map(orjson.dumps, (PATIENT, drug, drug))))
    out = tmp_path / "out.parquet"
    assert main(["import", "fhir", str(path), "--out", str(out), "--plaintext"]) == 0
    assert "2 of the type MedicationRequest are not taken" in capsys.readouterr().err


def test_a_recording_is_sealed(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HEADRACE_SEALING__KEYS", Keyring.generate().text())
    path, out = tmp_path / "a.ndjson", tmp_path / "out.parquet"
    path.write_bytes(orjson.dumps(PATIENT))
    assert main(["import", "fhir", str(path), "--out", str(out)]) == 0
    assert b"SECRET7" not in out.read_bytes()
    assert b"Hidden" not in out.read_bytes()


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (b"{", "it is no JSON"),
        (b"[1]", "it is no FHIR resource"),
        (orjson.dumps(PATIENT | {"identifier": []}), "Patient: it has no identifier with a value"),
        (orjson.dumps(PATIENT | {"meta": {}}), "Patient: it has no meta.lastUpdated"),
        (orjson.dumps(PATIENT | {"name": 7}), "Patient: it is not in the form of FHIR R4"),
        (orjson.dumps(VISIT), "Encounter: the patient that it refers to is in none of the files"),
        (
            orjson.dumps(PATIENT | {"deceasedDateTime": "SECRET7"}),
            "Patient: it has a time that is none",
        ),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(tmp_path, capsys, second, said):
    path, out = tmp_path / "a.ndjson", tmp_path / "out.parquet"
    path.write_bytes(orjson.dumps(PATIENT | {"id": "q"}) + b"\n" + second)
    assert main(["import", "fhir", str(path), "--out", str(out), "--plaintext"]) == 2
    error = capsys.readouterr().err
    assert f"{path}:2: {said}" in error
    assert "SECRET7" not in error
    assert not out.exists()
    assert [each.name for each in tmp_path.iterdir()] == ["a.ndjson"]
