"""What is said of the timeline: records of the outputs (state/adt/outputs.py)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import pairwise
from typing import Any

from operators.adt.attributes import Condition, Patient
from operators.adt.census import NOBODY, Correction, Counts, ward_of
from operators.adt.domain import EMPTY, Bed
from operators.adt.family import Family
from operators.adt.observed import Name, Observed
from operators.adt.orders import Standing
from operators.adt.shown import Anomaly, Change, PatientChange, Shown
from operators.adt.visit import Row
from operators.outputs import Outbox
from state.adt.attributes import ADDRESS, ADDRESS_END, DETAILS, PERSON, Details, Diagnoses
from state.adt.facts import Alias, Fact, Rekey, Told, VisitKey
from state.clock import NS, iso_time
from state.records import Coordinates

MOST_CAUSES = 32
"""So many messages are named as what a visit follows from, the last ones."""


WORDS = {
    Alias: "merge",
    Rekey: "another number",
    Details: "details",
    Diagnoses: "diagnoses",
}
"""What messages are behind a visit, beside those of its facts."""


class Report:
    """Emits what changed with one message."""

    def __init__(self, outbox: Outbox, told: Told) -> None:
        self._outbox, self._domain = outbox, told.domain
        self._time_ns, self._origin = told.recorded_ns, told.coordinates.partition
        self._where = place(told.coordinates)

    def visit(self, family: Family, change: Change) -> None:
        """Emit the timeline and the encounter of a visit; retract what there is none of."""
        key, before, after = change
        self._conditions(family, change)
        stays, stands = before.rows != after.rows, _stands(before) != _stands(after)
        if not stays and not stands:
            return
        patient, number = key
        wards = wards_of(row.location for row in after.rows)
        moved = stays and wards != wards_of(row.location for row in before.rows)
        version = family.versions[key] = family.versions.get(key, 0) + 1
        rest = {
            "patient": patient,
            "visit": number,
            "version": version,
            "because": [place(each) for each in family.because(key, MOST_CAUSES)],
            "wards": wards,
        }
        if stays:
            rows = rest | {"stays": stay_rows(after.rows)} if after.rows else None
            self._put("location_visits", (number, patient), str(version), rows)
        # Where it has moved, other wards may read it from now on.
        if stands or (moved and after.encounter):
            row = encounter_row(after)
            self._put("encounters", (number, patient), str(version), row and rest | row)

    def late(self, reason: str) -> None:
        """Emit that a message came too late to count."""
        identity = f"late|{self._domain}|{self._where}"
        record = {"id": identity, "domain": self._domain, "ts_ns": self._time_ns}
        record |= {"reason": reason, "message": self._where}
        self._outbox.emit("late", self._origin, self._time_ns, identity, "", record)

    def patient(self, family: Family, change: PatientChange) -> None:
        """Emit who a patient is; retract one of whom nothing is told."""
        patient, before, after = change
        if before and after and patient_row(before) == patient_row(after):
            return
        causes = [place(each) for each in family.because_of(patient, MOST_CAUSES)]
        record = after and {"patient": patient, "because": causes, **patient_row(after)}
        self._put("patients", (patient,), self._where, record)

    def census(self, correction: Correction, version: int, window_ns: int) -> None:
        """Emit a window of the census; retract one in which nobody was after all."""
        ward, window, before, after = correction
        parts = (ward, iso_time(window * window_ns))
        if after == NOBODY:
            self._put("census", parts, self._where, None)
            return
        record = census_row(after) | {
            "ward": ward,
            "start": parts[1],
            "end": iso_time((window + 1) * window_ns),
            "version": version,
            "delta": None if before is None else after.occupied - before.occupied,
            "message": self._where,
        }
        self._put("census", parts, self._where, record)

    def observations(self, before: Standing, after: Standing) -> None:
        """Emit the results of an order that stand otherwise; retract those that are none."""
        then, now = ({_observed_parts(row): row for row in each.rows} for each in (before, after))
        for parts in sorted(then.keys() - now.keys()):
            self._put("observations", parts, self._where, None)
        causes: dict[Name, list[str]] = {}
        for parts, row in now.items():
            if then.get(parts) != row:
                if row.name not in causes:  # an order may have thousands of results of one name
                    behind = sorted(set(after.causes[row.name]))[-MOST_CAUSES:]
                    causes[row.name] = [*map(place, behind)]
                record = {**row._asdict(), "visit": row.visit or None}
                record |= {"observation": self._key(parts), "because": causes[row.name]}
                self._put("observations", parts, self._where, record)

    def anomalies(self, gone: Collection[Anomaly], new: Collection[Anomaly]) -> None:
        """Emit what has become strange, and retract what is strange no more."""
        for each in sorted(gone, key=repr):
            self._put("anomalies", _parts(each), self._where, None)
        for each in sorted(new, key=repr):
            parts = _parts(each)
            more = {"anomaly": self._key(parts), **self._told([each.location])}
            self._put("anomalies", parts, self._where, anomaly_row(each) | more)

    def bed(self, location: str, bed: Bed) -> None:
        """Emit a bed as it is now; retract one of which nothing is known any more."""
        record = {"location": location, **bed_row(bed), **self._told([location])}
        self._put("beds", (location,), self._where, None if bed == EMPTY else record)

    def _conditions(self, family: Family, change: Change) -> None:
        """Emit the diagnoses of a visit that have changed."""
        (patient, number), before, after = change
        then, now = ({each[:3]: each for each in shown.conditions} for shown in (before, after))
        for kind_system_code in sorted(then.keys() - now.keys()):
            parts = (number, patient, *kind_system_code)
            self._put("conditions", parts, self._where, None)
        if then == now:
            return
        causes = [place(each) for each in family.because(change.key, MOST_CAUSES)]
        for kind_system_code, condition in sorted(now.items()):
            if then.get(kind_system_code) != condition:
                parts = (number, patient, *kind_system_code)
                record = {"patient": patient, "visit": number, "condition": self._key(parts)}
                record = record | condition_row(condition) | {"because": causes}
                self._put("conditions", parts, self._where, record)

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

    def _told(self, locations: Iterable[str]) -> dict[str, Any]:
        """Return which message told it, and who may read it."""
        return {"message": self._where, "wards": wards_of(locations)}

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
    return {
        "message": place(where),
        "trigger": statement.trigger if isinstance(statement, Fact) else WORDS[type(statement)],
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
        "stay_s": _seconds(admitted_ns, discharged_ns),
        "transfers": transfers(shown),
        "boarding_s": boarding_s(shown),
        **dict(zip(DETAILS, shown.details, strict=True)),
    }


def _stands(shown: Shown) -> tuple[Any, ...] | None:
    """Return all that `encounter_row` depends on, which is faster than to make it twice."""
    if shown.encounter is None:
        return None
    return shown.encounter, shown.details, transfers(shown), boarding_s(shown)


def transfers(shown: Shown) -> int:
    """Return how often a patient was moved to another bed."""
    return sum(one.location != two.location for one, two in pairwise(shown.rows))


def boarding_s(shown: Shown) -> int:
    """Return how long a patient waited in an emergency bed as an inpatient.

    A wait that lasts is not counted yet: how long it is depends on when it is asked.
    """
    spans = [span for presence in shown.wards for span in presence.boarding]
    return sum(_seconds(*span) or 0 for span in spans)


def census_row(counts: Counts) -> dict[str, Any]:
    """Return what a ward had in a window."""
    row = counts._asdict()
    return row | {
        "patient_s": row.pop("patient_ns") // NS,
        "boarding_s": row.pop("boarding_ns") // NS,
    }


def patient_row(patient: Patient) -> dict[str, Any]:
    """Return who a patient is."""
    said = dict(zip(PERSON, patient.fields, strict=True))
    address = dict(zip(ADDRESS, (said["address"] or "").split(ADDRESS_END), strict=False))
    deceased = True if said["died"] else {"true": True, "false": False}.get(said["deceased"] or "")
    return {
        **said,
        "merged": list(patient.merged),
        "address": {part: text for part, text in address.items() if text} or None,
        "deceased": deceased,
    }


def condition_row(condition: Condition) -> dict[str, Any]:
    """Return a diagnosis."""
    return {
        "code": condition.code,
        "system": condition.system or None,
        "text": condition.text or None,
        "type": condition.kind or None,
        "rank": condition.rank or None,
        "time": _time(condition.time_ns),
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


def wards_of(locations: Iterable[str]) -> list[str]:
    """Return the wards of locations, sorted.

    >>> wards_of(["ICU^1^A", "ICU^2^B", "2N", ""])
    ['2N', 'ICU']
    """
    return sorted(set(map(ward_of, locations)) - {""})


def place(where: Coordinates) -> str:
    """Return where a message lies: topic:partition:offset."""
    return f"{where.topic}:{where.partition}:{where.offset}"


def _observed_parts(row: Observed) -> tuple[str, ...]:
    """Return what tells a result apart from all others."""
    number = row.filler or ""
    told = (row.visit, row.patient, number, row.code, row.system or "", row.sub_id or "")
    return (*told, row.time, str(row.nth))


def _seconds(start_ns: int | None, end_ns: int | None) -> int | None:
    return None if start_ns is None or end_ns is None else (end_ns - start_ns) // NS


def _parts(anomaly: Anomaly) -> tuple[str, ...]:
    return tuple("" if value is None else str(value) for value in anomaly)


def _time(ns: int | None) -> str | None:
    return None if ns is None else iso_time(ns)
