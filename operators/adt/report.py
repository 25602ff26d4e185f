"""What is said of the timeline: records of the outputs (state/adt/outputs.py)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from operators.adt.domain import EMPTY, Bed
from operators.adt.family import Anomaly, Change, Family, Shown
from operators.adt.visit import Row
from operators.outputs import Outbox
from state.adt.facts import Fact, Rekey, Told, VisitKey
from state.clock import iso_time
from state.records import Coordinates

MOST_CAUSES = 32
"""So many messages are named as what a visit follows from, the last ones."""


class Report:
    """Emits what changed with one message."""

    def __init__(self, outbox: Outbox, told: Told) -> None:
        self._outbox, self._domain = outbox, told.domain
        self._time_ns, self._origin = told.recorded_ns, told.coordinates.partition
        self._where = place(told.coordinates)

    def visit(self, family: Family, change: Change) -> None:
        """Emit the timeline and the encounter of a visit; retract what there is none of."""
        key, before, after = change
        if before[:2] == after[:2]:
            return
        patient, number = key
        version = family.versions[key] = family.versions.get(key, 0) + 1
        rest = {
            "patient": patient,
            "visit": number,
            "version": version,
            "because": [place(each) for each in family.because(key, MOST_CAUSES)],
        }
        if before.rows != after.rows:
            stays = {"stays": stay_rows(after.rows)} if after.rows else None
            self._put("location_visits", (number, patient), str(version), stays and rest | stays)
        if before.encounter != after.encounter:
            row = encounter_row(after)
            self._put("encounters", (number, patient), str(version), row and rest | row)

    def anomalies(self, gone: Collection[Anomaly], new: Collection[Anomaly]) -> None:
        """Emit what has become strange, and retract what is strange no more."""
        for each in sorted(gone, key=repr):
            self._put("anomalies", _parts(each), self._where, None)
        for each in sorted(new, key=repr):
            parts = _parts(each)
            record = anomaly_row(each) | {"anomaly": self._key(parts), "message": self._where}
            self._put("anomalies", parts, self._where, record)

    def bed(self, location: str, bed: Bed) -> None:
        """Emit a bed as it is now; retract one of which nothing is known any more."""
        record = {"location": location, **bed_row(bed), "message": self._where}
        self._put("beds", (location,), self._where, None if bed == EMPTY else record)

    def _put(
        self, output: str, parts: tuple[str, ...], version: str, record: dict[str, Any] | None
    ) -> None:
        key = self._key(parts)
        identity = f"{key}|{version}"
        if record is None:
            self._outbox.retract(output, self._origin, self._time_ns, identity, key)
            return
        whole = {"id": identity, "domain": self._domain, "ts_ns": self._time_ns, **record}
        self._outbox.emit(output, self._origin, self._time_ns, identity, key, whole)

    def _key(self, parts: tuple[str, ...]) -> str:
        return "|".join((*parts, self._domain))


def document(domain: str, family: Family, key: VisitKey) -> dict[str, Any]:
    """Return a visit with the messages behind it, for people."""
    shown = family.shown[key]
    behind = sorted(family.behind(key).items(), key=lambda each: each[1])
    return {
        "domain": domain,
        "patient": key[0],
        "visit": key[1],
        "encounter": encounter_row(shown),
        "stays": stay_rows(shown.rows),
        "anomalies": [anomaly_row(each) for each in sorted(shown.anomalies, key=repr)],
        "because": [_cause(each, where) for each, where in behind],
    }


def _cause(statement: Any, where: Coordinates) -> dict[str, Any]:
    """Return a message behind a visit, for people."""
    trigger = "another number" if isinstance(statement, Rekey) else "merge"
    return {
        "message": place(where),
        "trigger": statement.trigger if isinstance(statement, Fact) else trigger,
        "time": iso_time(statement.clinical_ns),
        "recorded": iso_time(statement.recorded_ns),
    }


def stay_rows(rows: Collection[Row]) -> list[dict[str, Any]]:
    """Return where the patient was."""
    return [
        {
            "location": row.location,
            "class": row.patient_class or None,
            "start": iso_time(row.start_ns),
            "end": _time(row.end_ns),
            "inferred": row.inferred,
        }
        for row in rows
    ]


def encounter_row(shown: Shown) -> dict[str, Any] | None:
    """Return how a visit stands, None where nothing says that there is one."""
    if shown.encounter is None:
        return None
    status, patient_class, admitted_ns, discharged_ns, disposition = shown.encounter
    return {
        "status": status,
        "class": patient_class or None,
        "admitted": _time(admitted_ns),
        "discharged": _time(discharged_ns),
        "disposition": disposition or None,
    }


def anomaly_row(anomaly: Anomaly) -> dict[str, Any]:
    """Return what is strange."""
    return {
        "kind": anomaly.kind,
        "patient": anomaly.patient or None,
        "visit": anomaly.visit or None,
        "location": anomaly.location or None,
        "start": _time(anomaly.start_ns),
        "end": _time(anomaly.end_ns),
        "field": anomaly.field or None,
    }


def bed_row(bed: Bed) -> dict[str, Any]:
    """Return how a bed is."""
    patient, visit = bed.key or (None, None)
    return {
        "status": bed.status or None,
        "patient": patient,
        "visit": visit,
        "since": _time(bed.since_ns),
    }


def place(where: Coordinates) -> str:
    """Return where a message lies: topic:partition:offset."""
    return f"{where.topic}:{where.partition}:{where.offset}"


def _parts(anomaly: Anomaly) -> tuple[str, ...]:
    return tuple("" if value is None else str(value) for value in anomaly)


def _time(ns: int | None) -> str | None:
    return None if ns is None else iso_time(ns)
