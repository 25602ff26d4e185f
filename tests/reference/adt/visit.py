"""What became of one visit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.reference.adt.rows import Row, Stay, anomaly, iso_or_none
from tests.reference.adt.terms import (
    ADMISSIONS,
    BACK,
    BACK_IN,
    CANCELS,
    CLASS_CHANGES,
    CORRECTIONS,
    DELETES_VISIT,
    DISCHARGE,
    FROM_ANOTHER_BED,
    ON_LEAVE,
    PLACINGS,
    PLANNED,
    TELLS_OF_A_VISIT,
    Fact,
    VisitKey,
    age,
)


class Step(NamedTuple):
    """Where a patient is from a time on, until the next step."""

    fact: Fact
    start: int
    location: str | None
    patient_class: str | None
    inferred: bool


class Visit:
    """One visit of one patient, from all facts of it."""

    def __init__(self, key: VisitKey, facts: list[Fact], person_deleted: list[Fact]) -> None:
        self.key = key
        self.told = any(fact.trigger in TELLS_OF_A_VISIT for fact in facts)
        deletions = [fact for fact in facts if fact.trigger == DELETES_VISIT] + person_deleted
        deleted = max((fact.r for fact in deletions), default=None)
        self.facts = [fact for fact in facts if deleted is None or fact.r > deleted]
        void, self.unmet = voided(self.facts)
        self.standing = sorted((fact for fact in self.facts if fact not in void), key=moment)
        self.discharge = max(self.having(DISCHARGE), key=age, default=None)
        self.left = self.corrected_until()
        self.corrected_since = self.newest_correction()
        self.stays = self.stays_of(self.steps())

    def having(self, *triggers: str) -> list[Fact]:
        """Return the facts of these triggers that stand, by clinical time."""
        return [fact for fact in self.standing if fact.trigger in triggers]

    def corrections(self) -> list[Fact]:
        """Return the A08 and A31 recorded after a discharge that stands, the newest last."""
        first = min((fact.r for fact in self.having(DISCHARGE)), default=None)
        found = self.having(*CORRECTIONS)
        return sorted((fact for fact in found if first is not None and fact.r > first), key=age)

    def newest_correction(self) -> int | None:
        """Return the time of the admission as it was corrected."""
        told = [fact.since for fact in self.corrections() if fact.since is not None]
        return told[-1] if told else None

    def about_discharge(self) -> list[Fact]:
        """Return discharges and their corrections; at one recorded time the discharge is newer."""
        found = self.having(DISCHARGE) + self.corrections()
        return sorted(found, key=lambda fact: (fact.r, fact.trigger == DISCHARGE, fact.t, fact.h))

    def corrected_until(self) -> int | None:
        """Return the time of the discharge in force."""
        times = [
            fact.t if fact.trigger == DISCHARGE else fact.until for fact in self.about_discharge()
        ]
        told = [time for time in times if time is not None]
        return told[-1] if told else None

    def disposition(self) -> str | None:
        """Return the newest disposition; None where null is the newest."""
        told = [fact.disposition for fact in self.about_discharge()]
        told = [text for text in told if text is not None]
        return told[-1] or None if told else None

    def placings(self) -> list[Fact]:
        """Return the placing facts that count, by clinical time."""
        newest = {(fact.trigger, fact.t): fact for fact in sorted(self.having(*PLACINGS), key=age)}
        return sorted(newest.values(), key=moment)

    def steps(self) -> list[Step]:
        """Return where the patient was told to be, whatever a discharge says."""
        placings = self.placings()
        if not placings:
            return self.only_discharged()
        steps = self.before(placings[0])
        location, patient_class = (
            (steps[0].location, steps[0].patient_class) if steps else (None,) * 2
        )
        for fact in placings:
            if fact.trigger == BACK_IN and fact.place == location:
                continue
            location = location if fact.place is None else fact.place
            if patient_class is None or fact.trigger in ADMISSIONS | CLASS_CHANGES:
                told = fact.patient_class
                patient_class = patient_class if told is None else told
            steps.append(Step(fact, fact.t, location, patient_class, inferred=False))
        return steps

    def before(self, first: Fact) -> list[Step]:
        """Return the row that the first fact tells of: the patient came from another bed."""
        since = first.since if self.corrected_since is None else self.corrected_since
        if first.trigger not in FROM_ANOTHER_BED or not first.prior or since is None:
            return []
        if first.prior == first.place or since >= first.t:
            return []
        unknown = first.trigger in CLASS_CHANGES
        patient_class = None if unknown else first.patient_class
        return [Step(first, since, first.prior, patient_class, inferred=True)]

    def only_discharged(self) -> list[Step]:
        """Return the row of a visit of which only the discharge is known."""
        fact = self.discharge
        if fact is None:
            return []
        since = fact.since if self.corrected_since is None else self.corrected_since
        if since is None:
            return []
        return [Step(fact, since, fact.place, fact.patient_class, inferred=True)]

    def after_discharge(self, step: Step) -> bool:
        """Return whether a step is dated after the discharge."""
        return self.left is not None and step.start > self.left

    def stays_of(self, steps: list[Step]) -> list[Stay]:
        """Return the rows: each step to the next one, or to the discharge."""
        steps = [step for step in steps if not self.after_discharge(step)]
        ends = [step.start for step in steps[1:]] + [self.left] * bool(steps)
        stays: list[Stay] = []
        for step, until in zip(steps, ends, strict=True):
            start = self.corrected_start(step, first=step is steps[0])
            stay = Stay(
                *self.key,
                step.location or "",
                step.patient_class or None,
                start,
                until,
                step.inferred,
            )
            if stay.location and (until is None or start < until):
                stays = joined(stays, stay)
        return stays

    def corrected_start(self, step: Step, *, first: bool) -> int:
        """Return when a row begins, if the time of the admission was corrected."""
        if self.corrected_since is None:
            return step.start
        if first and step.fact.trigger in ADMISSIONS:
            return self.corrected_since
        return max(step.start, self.corrected_since)

    def status(self) -> str:
        """Return the status in the words of FHIR R4."""
        triggers = {fact.trigger for fact in self.standing}
        told = {fact.trigger for fact in self.facts} & TELLS_OF_A_VISIT
        leaves = self.having(ON_LEAVE, BACK)
        if not told:
            return "entered-in-error"
        if DISCHARGE in triggers:
            return "finished"
        if leaves and leaves[-1].trigger == ON_LEAVE:
            return "onleave"
        if leaves or triggers & PLACINGS:
            return "in-progress"
        if PLANNED in triggers:
            return "planned"
        return "cancelled" if told & (ADMISSIONS | {PLANNED}) else "in-progress"

    def admitted(self) -> int | None:
        """Return the time of the admission."""
        if self.corrected_since is not None:
            return self.corrected_since
        told = [fact.t for fact in self.having(*ADMISSIONS)]
        since = [fact.since for fact in self.having(*FROM_ANOTHER_BED, DISCHARGE)]
        return next((time for time in told + since if time is not None), None)

    def patient_class(self) -> str | None:
        """Return the last class before the discharge, else the planned or the discharged one."""
        steps = [step for step in self.steps() if not self.after_discharge(step)]
        if steps:
            return steps[-1].patient_class or None
        others = self.having(PLANNED, DISCHARGE, ON_LEAVE, BACK)
        return others[-1].patient_class or None if others else None

    def encounter(self) -> Row:
        """Return the row of the encounter table."""
        patient, visit = self.key
        return {
            "patient": str(patient),
            "visit": str(visit),
            "status": self.status(),
            "class": self.patient_class(),
            "admitted": iso_or_none(self.admitted()),
            "discharged": iso_or_none(self.left),
            "disposition": self.disposition(),
        }

    def anomalies(self) -> Iterator[Row]:
        """Yield cancels that wait for what they cancel, and moves after the discharge."""
        for cancel in self.unmet:
            yield anomaly("cancel_without_target", *self.key, start=cancel.t)
        for step in self.steps():
            if self.after_discharge(step) and not step.inferred:
                where, start = step.location or None, step.start
                yield anomaly("moved_after_discharge", *self.key, where, start)


def moment(fact: Fact) -> tuple[int, int, str]:
    """Return what orders facts by clinical time."""
    return fact.t, fact.r, fact.h


def voided(facts: list[Fact]) -> tuple[set[Fact], list[Fact]]:
    """Return the facts that cancels void, and the cancels that have no target."""
    void: set[Fact] = set()
    unmet: list[Fact] = []
    for cancel in sorted((fact for fact in facts if fact.trigger in CANCELS), key=age):
        known = [fact for fact in facts if fact.r <= cancel.r]
        hit = targets(cancel, known, void)
        void |= hit
        if not hit:
            unmet.append(cancel)
            void |= {fact for fact in facts if fact.trigger == BACK_IN and fact.h == cancel.h}
        elif cancel.trigger == "A11" and not any(
            fact.trigger in ADMISSIONS and fact not in void for fact in known
        ):
            void |= belonging(min(fact.t for fact in hit), known)
    return void, unmet


def belonging(admitted: int, known: list[Fact]) -> set[Fact]:
    """Return what falls with the last admission."""
    falling = PLACINGS | {DISCHARGE, ON_LEAVE, BACK}
    return {fact for fact in known if fact.trigger in falling and fact.t >= admitted}


def targets(cancel: Fact, known: list[Fact], void: set[Fact]) -> set[Fact]:
    """Return the facts that a cancel voids among those recorded no later."""
    aimed = [fact for fact in known if fact.trigger in CANCELS[cancel.trigger]]
    if cancel.trigger == "A13":
        return set(aimed)
    standing = [fact for fact in aimed if fact not in void]
    choices = [[fact for fact in aimed if fact.t == cancel.aim]]
    if cancel.trigger == "A12":
        choices.append([fact for fact in standing if cancel.prior and fact.place == cancel.prior])
        choices.append([fact for fact in standing if cancel.place and fact.prior == cancel.place])
    choices.append(standing)
    for choice in choices:
        if choice:
            newest = max(choice, key=age)
            return {fact for fact in aimed if fact.t == newest.t}
    return set()


def joined(stays: list[Stay], stay: Stay) -> list[Stay]:
    """Return the rows with a further one, joined to the last if both are the same bed and class."""
    if stays:
        last = stays[-1]
        same = (last.location, last.patient_class) == (stay.location, stay.patient_class)
        if same and last.end == stay.start:
            both = last._replace(end=stay.end, inferred=last.inferred or stay.inferred)
            return [*stays[:-1], both]
    return [*stays, stay]
