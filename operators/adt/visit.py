"""One visit as a function of the set of its facts: where the patient was, and how it stands.

Nothing here depends on the order in which facts came. Source: adt.md, "The timeline, defined".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from operators.adt.cancels import Standing, by_recording, by_time, standing
from state.adt.facts import Fact
from state.adt.triggers import Effect, effect


class Row(NamedTuple):
    """A time in one bed under one class; ``end_ns`` is None while it lasts.

    ``inferred``: no message states that it was, or when it began.
    """

    location: str
    patient_class: str
    start_ns: int
    end_ns: int | None
    inferred: bool = False


class Encounter(NamedTuple):
    """How a visit stands, by the words of FHIR R4; what is not known is None or ""."""

    status: str
    patient_class: str
    admitted_ns: int | None
    discharged_ns: int | None
    disposition: str


class Visit(NamedTuple):
    """What is known of a visit; no encounter where nothing says that there is one."""

    rows: list[Row]
    encounter: Encounter | None
    moved_after_discharge: list[Fact]
    cancels_without_target: list[Fact]


class _Discharge(NamedTuple):
    """The discharge in force, with what was corrected of it afterwards."""

    fact: Fact
    end_ns: int
    admitted_ns: int | None
    disposition: str


def visit(facts: Iterable[Fact]) -> Visit:
    """Return the visit that these facts tell of. All must be of one visit."""
    stands = standing(facts)
    discharge = _discharge(stands.facts)
    placed = _placed(stands)
    end_ns = None if discharge is None else discharge.end_ns
    moved = [] if end_ns is None else [fact for fact in placed if fact.clinical_ns > end_ns]
    rows = _merged(_rows(placed, discharge))
    return Visit(rows, _encounter(stands, rows, discharge), moved, stands.unmet)


def _discharge(facts: Sequence[Fact]) -> _Discharge | None:
    """Return the discharge that was recorded last, corrected by what came behind it."""
    discharges = _having(facts, Effect.DISCHARGES)
    if not discharges:
        return None
    last = max(discharges, key=by_recording)
    end_ns, admitted_ns, disposition = last.clinical_ns, None, last.disposition or ""
    for fact in sorted(_having(facts, Effect.CORRECTS), key=by_recording):
        if fact.recorded_ns < last.recorded_ns:
            continue
        end_ns = end_ns if fact.discharged_ns is None else fact.discharged_ns
        admitted_ns = admitted_ns if fact.admitted_ns is None else fact.admitted_ns
        disposition = disposition if fact.disposition is None else fact.disposition
    return _Discharge(last, end_ns, admitted_ns, disposition)


def _placed(stands: Standing) -> list[Fact]:
    """Return the facts that place the patient, in order: the newest of a trigger and a time."""
    newest = {
        (fact.trigger, fact.clinical_ns): fact
        for fact in sorted(_having(stands.facts, Effect.PLACES), key=by_recording)
    }
    placed = sorted(newest.values(), key=by_time)
    for cancel in stands.met:
        before = [f for f in placed if f.location and f.recorded_ns <= cancel.recorded_ns]
        # The standard allows that a patient whose discharge is cancelled comes to another bed.
        if cancel.trigger == "A13" and before and cancel.location not in {"", before[-1].location}:
            placed.append(cancel._replace(clinical_ns=cancel.recorded_ns))
    return sorted(placed, key=by_time)


def _rows(placed: Sequence[Fact], discharge: _Discharge | None) -> Iterator[Row]:
    """Yield a row from each fact to the next, or to the discharge; nothing is behind that."""
    starts = [*_inferred(placed, discharge), *_starts(placed, discharge)]
    last_ns = None if discharge is None else discharge.end_ns
    for row, behind in zip_longest(starts, starts[1:]):
        end_ns = last_ns
        if behind is not None and (last_ns is None or behind.start_ns < last_ns):
            end_ns = behind.start_ns
        if end_ns is None or row.start_ns < end_ns:
            yield row._replace(end_ns=end_ns)


def _starts(placed: Sequence[Fact], discharge: _Discharge | None) -> Iterator[Row]:
    """Yield a row for each fact, which inherits the bed or the class that it does not tell."""
    location = patient_class = ""
    for place, fact in enumerate(placed):
        does = effect(fact.trigger)
        if fact.patient_class and (Effect.CLASSIFIES in does or not patient_class):
            patient_class = fact.patient_class
        location = fact.location or location
        start_ns = fact.clinical_ns
        if place == 0 and Effect.ADMITS in does and discharge and discharge.admitted_ns is not None:
            start_ns = discharge.admitted_ns
        if location:
            yield Row(location, patient_class, start_ns, None)


def _inferred(placed: Sequence[Fact], discharge: _Discharge | None) -> Iterator[Row]:
    """Yield the row before the first fact, where that tells the bed and the time of it."""
    if not placed:
        if discharge is not None:
            last = discharge.fact
            admitted_ns = discharge.admitted_ns
            if admitted_ns is None:
                admitted_ns = last.admitted_ns
            if last.location and admitted_ns is not None:
                yield Row(last.location, last.patient_class, admitted_ns, None, inferred=True)
        return
    first = placed[0]
    if first.trigger not in {"A02", "A06", "A07"} or first.prior in {"", first.location}:
        return
    if first.admitted_ns is not None and first.admitted_ns < first.clinical_ns:
        before = "" if Effect.CLASSIFIES in effect(first.trigger) else first.patient_class
        yield Row(first.prior, before, first.admitted_ns, None, inferred=True)


def _merged(rows: Iterable[Row]) -> list[Row]:
    """Return the rows with neighbours in one that differ in nothing."""
    found: list[Row] = []
    for row in rows:
        last = found[-1] if found else None
        if last is not None and last.end_ns == row.start_ns and last[:2] == row[:2]:
            found[-1] = last._replace(end_ns=row.end_ns, inferred=last.inferred or row.inferred)
        else:
            found.append(row)
    return found


def _encounter(
    stands: Standing, rows: Sequence[Row], discharge: _Discharge | None
) -> Encounter | None:
    status = _status(stands, discharge)
    if not status:
        return None
    admissions = [fact.clinical_ns for fact in _having(stands.facts, Effect.ADMITS)]
    admitted_ns = min(admissions, default=rows[0].start_ns if rows else None)
    if discharge is not None and discharge.admitted_ns is not None:
        admitted_ns = discharge.admitted_ns
    told = [f.patient_class for f in (*stands.void, *stands.facts) if f.patient_class]
    return Encounter(
        status,
        rows[-1].patient_class if rows else (told[-1] if told else ""),
        admitted_ns,
        None if discharge is None else discharge.end_ns,
        "" if discharge is None else discharge.disposition,
    )


def _status(stands: Standing, discharge: _Discharge | None) -> str:
    """Return the word for how a visit stands; "" where nothing says that there is one."""
    if discharge is not None:
        return "finished"
    if _having(stands.facts, Effect.PLACES):
        away = _having(stands.facts, Effect.LEAVES | Effect.RETURNS)
        left = bool(away) and Effect.LEAVES in effect(max(away, key=by_time).trigger)
        return "onleave" if left else "in-progress"
    if _having(stands.facts, Effect.PLANS):
        return "planned"
    if _having(stands.void, Effect.DELETES):
        return "entered-in-error"
    return "cancelled" if _having(stands.void, Effect.ADMITS | Effect.PLANS) else ""


def _having(facts: Iterable[Fact], kinds: Effect) -> list[Fact]:
    """Return the facts that do one of these."""
    return [fact for fact in facts if effect(fact.trigger) & kinds]
