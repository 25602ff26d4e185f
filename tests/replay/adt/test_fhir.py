"""`headrace import fhir`: what we export comes back as the same tables, and bad input is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from flows.__main__ import main
from operators.adt.fhir.export import TYPES, Export
from tests.connectors.web.care import ago, message
from tests.connectors.web.rest.test_bulk import ward_messages
from tests.operators.adt.fhir.records import KEYS, hashed
from tests.operators.adt.tables import tables
from tests.replay.recordings import read

LOST = {
    "patients": {"sex"},
    "encounters": {"boarding_s"},
    "conditions": {"rank"},
    "observations": {"filler", "sub_id", "nth", "observation"},
}
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


def imported(directory: Path, capsys: Any, *words: str) -> dict[str, Any]:
    """The tables of what is imported from a directory."""
    out = directory.parent / "out.parquet"
    assert main(["import", "fhir", str(directory), "--out", str(out), "--plaintext", *words]) == 0
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
