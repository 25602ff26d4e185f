"""What a case insists on beside its tables, check by check (docs/cases.md)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from connectors.hl7.message import Message
from operators.adt.fhir.encounters import encounter
from operators.adt.fhir.names import Names
from state.sealing import Keyring, Seal

Rows = list[dict[str, Any]]
Files = list[list[bytes]]
"""The messages of each file."""


class Seen(NamedTuple):
    """What messages gave."""

    records: int
    dead: list[str]
    """The errors of the dead letters, sorted."""
    tables: dict[str, Rows]
    deidentified: str | None = None
    """The tables of no person as one text, where the case says in which way."""


def check(check: dict[str, Any], seen: Seen, files: Files) -> bool | None:
    """Return whether a check holds, None where it is not one of ours."""
    known = next((name for name in CHECKS if name in check), None)
    return None if known is None else CHECKS[known](check, seen, files)


def _anomaly(check: dict[str, Any], seen: Seen, _: Files) -> bool:
    wanted = {("kind" if name == "anomaly" else name): value for name, value in check.items()}
    return any(fits(wanted, row) for row in seen.tables["anomalies"])


def _no_anomaly(check: dict[str, Any], seen: Seen, _: Files) -> bool:
    return all(row["kind"] != check["no_anomaly"] for row in seen.tables["anomalies"])


def _metric(check: dict[str, Any], seen: Seen, _: Files) -> bool | None:
    """What is strange is counted by its rows: it can be taken back, which no counter can."""
    kind = check["metric"].removeprefix("adt_")
    count = sum(row["kind"] == kind for row in seen.tables["anomalies"])
    return count >= check["at_least"] if "at_least" in check else None


def _bed(check: dict[str, Any], seen: Seen, _: Files) -> bool:
    return any(fits(check["bed"], row) for row in seen.tables["beds"])


def _observation(check: dict[str, Any], seen: Seen, _: Files) -> bool:
    return any(fits(check["observation"], row) for row in seen.tables["observations"])


def _ucum(check: dict[str, Any], seen: Seen, _: Files) -> bool:
    names = ("value", "unit", "value_ucum", "unit_ucum")
    told = [[row[name] for name in names] for row in seen.tables["observations"]]
    return all(wanted in told for wanted in check["observation_ucum"])


def _boarding(check: dict[str, Any], seen: Seen, _: Files) -> bool:
    waits = [row["boarding_s"] for row in seen.tables["encounters"]]
    return check["boarding_minutes"] * 60 in waits


def _security(check: dict[str, Any], seen: Seen, _: Files) -> bool | None:
    """Return whether the label is on the Encounters; None where it is asked of others."""
    wanted = check["fhir_security"]
    if wanted.keys() != {"Encounter"}:
        return None
    names = Names(Seal(Keyring.generate()).fingerprint)
    made = [encounter(names, row, [])[0]["resource"] for row in seen.tables["encounters"]]
    labels = [
        {label["code"] for label in each.get("meta", {}).get("security", [])} for each in made
    ]
    return bool(labels) and all(wanted["Encounter"] in each for each in labels)


def _absent(check: dict[str, Any], seen: Seen, _: Files) -> bool | None:
    return _texts(check["absent"], seen, wanted=False)


def _present(check: dict[str, Any], seen: Seen, _: Files) -> bool | None:
    return _texts(check["present"], seen, wanted=True)


def _texts(check: dict[str, Any], seen: Seen, *, wanted: bool) -> bool | None:
    """Return whether texts are in the de-identified tables; None where others are meant."""
    if check.keys() != {"deidentified"} or seen.deidentified is None:
        return None
    return all((text in seen.deidentified) == wanted for text in check["deidentified"])


def _field(check: dict[str, Any], _seen: Seen, files: Files) -> bool | None:
    if check.keys() != {"field", "equals"}:
        return None
    name, _, number = check["field"].partition("-")
    segments = [Message(raw).first(name) for file in files for raw in file]
    return check["equals"] in [each.whole(int(number)) if each else "" for each in segments]


CHECKS: dict[str, Callable[[dict[str, Any], Seen, Files], bool | None]] = {
    "anomaly": _anomaly,
    "no_anomaly": _no_anomaly,
    "metric": _metric,
    "bed": _bed,
    "observation": _observation,
    "observation_ucum": _ucum,
    "boarding_minutes": _boarding,
    "fhir_security": _security,
    "absent": _absent,
    "present": _present,
    "field": _field,
}


def matched(wanted: Rows, rows: Rows) -> bool:
    """Return whether each row is wanted, and each wanted row is there, one to one."""
    if len(wanted) != len(rows):
        return False
    return not wanted or any(
        matched(wanted[1:], rows[:place] + rows[place + 1 :])
        for place, row in enumerate(rows)
        if fits(wanted[0], row)
    )


def fits(wanted: dict[str, Any], row: dict[str, Any]) -> bool:
    """Return whether a row has the fields that a case insists on."""
    return all(
        name in row and _plain(name, wanted[name]) == _plain(name, row[name]) for name in wanted
    )


def _plain(name: str, value: Any) -> Any:
    """Return what is compared: numbers without authority, places without facility, instants."""
    if value is None:
        return None
    if name in ("patient", "visit"):
        return value.split("^")[0]
    if name == "location":
        return value.split("^")[:3]
    if name in ("start", "end", "admitted", "discharged"):
        return datetime.fromisoformat(value)
    return value
