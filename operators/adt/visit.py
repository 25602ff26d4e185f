"""One visit as a function of the set of its facts: where the patient was, and how it stands.

Nothing here depends on the order in which facts came. Source: adt.md, "The timeline, defined";
what that leaves open is decided as in tests/reference/adt, which lists each choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from operators.adt.cancels import Standing, by_recording, by_time, having, kinds, standing
from state.adt.facts import Fact
from state.adt.triggers import BACK_IN, TELLS, Effect, effect


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
    moved_after_discharge: list[Row]
    """Where messages say that the patient was, when the patient had left."""
    cancels_without_target: list[Fact]


class _Leaving(NamedTuple):
    """When and where to the patient left, and when the stay began, as last corrected."""

    end_ns: int | None
    admitted_ns: int | None
    disposition: str


class _Step(NamedTuple):
    """A row without its end; the bed and the class may be nothing or not known."""

    fact: Fact
    start_ns: int
    location: str
    patient_class: str
    inferred: bool = False


def visit(facts: Iterable[Fact]) -> Visit:
    """Return the visit that these facts tell of. All must be of one visit."""
    told = set(facts)
    stands = standing(told)
    leaving = _leaving(stands.facts)
    steps = _steps(stands, leaving)
    gone = [_is_after(step, leaving) for step in steps]
    within = [step for step, after in zip(steps, gone, strict=True) if not after]
    after = [step for step, after in zip(steps, gone, strict=True) if after and not step.inferred]
    return Visit(
        _merged(_rows(within, leaving)),
        _encounter(stands, within, leaving) if kinds(told) & TELLS else None,
        [Row(step.location, step.patient_class, step.start_ns, None) for step in after],
        stands.unmet,
    )


def _leaving(facts: Sequence[Fact]) -> _Leaving:
    """Return the newest that discharges told, or corrections recorded after the first of them."""
    discharges = having(facts, Effect.DISCHARGES)
    if not discharges:
        return _Leaving(None, None, "")
    first_ns = min(fact.recorded_ns for fact in discharges)
    corrections = [f for f in having(facts, Effect.CORRECTS) if f.recorded_ns > first_ns]
    end_ns, admitted_ns, disposition = None, None, ""
    for fact in sorted([*discharges, *corrections], key=_by_recording_of_leaving):
        if fact.disposition is not None:
            disposition = fact.disposition
        if effect(fact.trigger) & Effect.DISCHARGES:
            end_ns = fact.clinical_ns
            continue
        if fact.discharged_ns is not None:
            end_ns = fact.discharged_ns
        if fact.admitted_ns is not None:
            admitted_ns = fact.admitted_ns
    return _Leaving(end_ns, admitted_ns, disposition)


def _by_recording_of_leaving(fact: Fact) -> tuple[int, bool, int, str]:
    """At one recorded time the discharge is newer than what corrects one."""
    discharges = bool(effect(fact.trigger) & Effect.DISCHARGES)
    return fact.recorded_ns, discharges, fact.clinical_ns, fact.digest


def _is_after(step: _Step, leaving: _Leaving) -> bool:
    return leaving.end_ns is not None and step.start_ns > leaving.end_ns


def _steps(stands: Standing, leaving: _Leaving) -> list[_Step]:
    """Return where messages place the patient, whatever a discharge says."""
    placing = having(stands.facts, Effect.PLACES)
    newest = {(fact.trigger, fact.clinical_ns): fact for fact in sorted(placing, key=by_recording)}
    placed = sorted(newest.values(), key=by_time)
    if not placed:
        return list(_of_discharge(stands.facts, leaving))
    steps = list(_before(placed[0], leaving))
    location, patient_class = (steps[0].location, steps[0].patient_class) if steps else ("", "")
    known = bool(patient_class)
    for fact in placed:
        if fact.trigger == BACK_IN and fact.location == location:
            continue  # the patient came back to the same bed
        if fact.location is not None:
            location = fact.location
        if fact.patient_class is not None and (
            not known or effect(fact.trigger) & Effect.CLASSIFIES
        ):
            patient_class, known = fact.patient_class, True
        steps.append(_Step(fact, fact.clinical_ns, location, patient_class))
    return steps


def _before(first: Fact, leaving: _Leaving) -> Iterator[_Step]:
    """Yield the step before the first fact, where that tells the bed and the time of it."""
    since_ns = leaving.admitted_ns if leaving.admitted_ns is not None else first.admitted_ns
    told = effect(first.trigger) & Effect.FROM_A_BED
    if not told or not first.prior or first.prior == first.location:
        return
    if since_ns is not None and since_ns < first.clinical_ns:
        classified = effect(first.trigger) & Effect.CLASSIFIES
        before = "" if classified else first.patient_class or ""
        yield _Step(first, since_ns, first.prior, before, inferred=True)


def _of_discharge(facts: Sequence[Fact], leaving: _Leaving) -> Iterator[_Step]:
    """Yield the step of a visit of which only a discharge is known."""
    discharges = having(facts, Effect.DISCHARGES)
    if discharges:
        last = max(discharges, key=by_recording)
        since_ns = leaving.admitted_ns if leaving.admitted_ns is not None else last.admitted_ns
        if since_ns is not None:
            location, patient_class = last.location or "", last.patient_class or ""
            yield _Step(last, since_ns, location, patient_class, inferred=True)


def _rows(steps: Sequence[_Step], leaving: _Leaving) -> Iterator[Row]:
    """Yield a row from each step to the next, or to the discharge."""
    ends = [*(step.start_ns for step in steps[1:]), leaving.end_ns]
    for place, (step, end_ns) in enumerate(zip(steps, ends, strict=False)):
        start_ns = step.start_ns
        if leaving.admitted_ns is not None:
            began = place == 0 and effect(step.fact.trigger) & Effect.ADMITS
            start_ns = leaving.admitted_ns if began else max(start_ns, leaving.admitted_ns)
        if step.location and (end_ns is None or start_ns < end_ns):
            yield Row(step.location, step.patient_class, start_ns, end_ns, step.inferred)


def _merged(rows: Iterable[Row]) -> list[Row]:
    """Return the rows with neighbours in one that have the same bed and class."""
    found: list[Row] = []
    for row in rows:
        last = found[-1] if found else None
        if last is not None and last.end_ns == row.start_ns and last[:2] == row[:2]:
            found[-1] = last._replace(end_ns=row.end_ns, inferred=last.inferred or row.inferred)
        else:
            found.append(row)
    return found


def _encounter(stands: Standing, steps: Sequence[_Step], leaving: _Leaving) -> Encounter:
    facts = stands.facts
    admissions = [fact.clinical_ns for fact in having(facts, Effect.ADMITS)]
    told = [
        fact.admitted_ns
        for fact in having(facts, Effect.FROM_A_BED | Effect.DISCHARGES)
        if fact.admitted_ns is not None
    ]
    known = [leaving.admitted_ns] if leaving.admitted_ns is not None else [*admissions, *told]
    others = having(facts, TELLS & ~Effect.ADMITS & ~Effect.PLACES)
    last_class = others[-1].patient_class if others else None
    return Encounter(
        _status(stands),
        steps[-1].patient_class if steps else last_class or "",
        known[0] if known else None,
        leaving.end_ns,
        leaving.disposition,
    )


def _status(stands: Standing) -> str:
    """Return the word for how a visit stands."""
    facts, stood = stands.facts, kinds(stands.facts)
    told = stood | kinds(stands.void)
    if not told & TELLS:
        return "entered-in-error"
    if stood & Effect.DISCHARGES:
        return "finished"
    if stood & (Effect.LEAVES | Effect.RETURNS):
        away = having(facts, Effect.LEAVES | Effect.RETURNS)
        return "onleave" if effect(away[-1].trigger) & Effect.LEAVES else "in-progress"
    if stood & Effect.PLACES:
        return "in-progress"
    if stood & Effect.PLANS:
        return "planned"
    return "cancelled" if told & (Effect.ADMITS | Effect.PLANS) else "in-progress"
