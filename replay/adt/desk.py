"""The desk of a simulated hospital: it knows beds and visits, and tells of them in messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import NamedTuple

from replay.adt.people import HOUR_S, MINUTE_S, People, Person
from replay.adt.plan import STATUSES, Plan, Visit
from replay.adt.segments import (
    RESULTS,
    WITH_DIAGNOSES,
    Code,
    diagnoses,
    evn,
    npu,
    pid,
    pv1,
    results,
)
from replay.adt.wards import Process, Time, Ward

EMERGENCY, INTENSIVE, BIRTHS = "ED", "ICU", "OBS"
HALL = f"{EMERGENCY}^HALL"
"""Where patients of the ED are who have no bay. It is no bed."""
WARDS = {"MED": 40, "SUR": 32, "CAR": 28, "GER": 28, BIRTHS: 16, INTENSIVE: 12, EMERGENCY: 24}
"""The wards' beds."""
HOUSEKEEPING, UNOCCUPIED = "H", "U"
"""Statuses of a bed by table 0116."""


class Made(NamedTuple):
    """A message without its envelope; times are seconds since `people.BEGIN`."""

    trigger: str
    made_s: int
    """When the hospital had come so far."""
    recorded_s: int
    body: str


class Desk:
    """The state of a hospital. Each step of a process tells one message at most."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.time = Time()
        self.people = People(rng)
        self.plan = Plan()
        self.wards = {name: Ward(name, beds) for name, beds in WARDS.items()}
        self.patients: dict[str, Visit] = {}
        """Who is in each bed of a ward, and nobody is about to move."""
        self._made: Made | None = None

    @property
    def now_s(self) -> int:
        """The time."""
        return self.time.now_s

    def messages(self) -> Iterator[Made]:
        """Yield what is told, as it is told."""
        for _ in self.time.steps():
            if self._made is not None:
                yield self._made
                self._made = None

    def chance(self, share: float) -> bool:
        """Return whether something happens that does so in this share of cases."""
        return self.rng.random() < share

    def after(self, least_minutes: float, most_minutes: float, since_s: int = 0) -> int:
        """Return a time so long after now, or after ``since_s`` where that is later."""
        pause_s = self.rng.uniform(least_minutes, most_minutes) * MINUTE_S
        return max(self.now_s, since_s) + int(pause_s)

    def open(
        self, person: Person, admission_type: str, patient_class: str, registered: Person
    ) -> Visit:
        """Return a new visit of a person who is registered as ``registered``."""
        number = f"V{len(self.plan.visits) + 1:07d}"
        visit = Visit(number, person, registered, admission_type, patient_class)
        self.plan.visits.append(visit)
        return visit

    def tell(
        self,
        trigger: str,
        visit: Visit,
        prior: str = "",
        clinical_s: int | None = None,
        behind: Sequence[str] = (),
    ) -> int:
        """Tell a trigger of a visit as it stands now; return when that is recorded.

        ``prior`` is the bed before, ``behind`` are more segments.
        """
        visit.status = STATUSES.get(trigger, visit.status)
        has = visit.inpatient_s is not None and trigger in WITH_DIAGNOSES
        behind = [*behind, *(diagnoses(visit.owner) if has else ())]
        return self.say(trigger, [pid(visit.registered), pv1(visit, prior), *behind], clinical_s)

    def say(self, trigger: str, segments: list[str], clinical_s: int | None = None) -> int:
        """Tell a message of these segments behind EVN; return when it is recorded."""
        assert self._made is None, "a step tells one message at most"
        recorded_s = self.now_s + self._delay_s()
        if trigger != RESULTS:
            happened_s = self.now_s if clinical_s is None else clinical_s
            segments = [evn(trigger, recorded_s, happened_s), *segments]
        self._made = Made(trigger, self.now_s, recorded_s, "\r".join(segments))
        return recorded_s

    def measure(
        self, visit: Visit, codes: Mapping[str, Code], values: Mapping[str, float | str]
    ) -> None:
        """Tell measured values of a visit."""
        told = [pid(visit.registered), pv1(visit), *results(codes, values, self.now_s)]
        self.say(RESULTS, told)

    def free(self, bed: str) -> None:
        """Let a bed be cleaned, and then be given to the next patient."""
        if bed != HALL:
            self.time.start(self._cleaned(bed))

    def give(self, bed: str) -> None:
        """Give a bed to who waits for one."""
        waiting = self.wards[bed.partition("^")[0]].give(bed)
        if waiting is not None:
            self.time.start(waiting, bed=bed)

    def _cleaned(self, bed: str) -> Process:
        """Clean a bed; the desk tells it of wards, not of the bays of the ED."""
        told = not bed.startswith(EMERGENCY)
        for status, least, most in ((HOUSEKEEPING, 2, 10), (UNOCCUPIED, 15, 60)):
            yield self.after(least, most)
            if told:
                self.say("A20", [npu(bed, status)])
        yield self.now_s
        self.give(bed)

    def _delay_s(self) -> int:
        """Return how long it takes until something is recorded: 3 minutes, now and then hours."""
        return 5 + min(int(self.rng.lognormvariate(1.2, 1.0) * MINUTE_S), 6 * HOUR_S)
