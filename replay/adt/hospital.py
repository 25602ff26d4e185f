"""A made-up hospital by a seed: who comes, where they go, and what its desk tells of them.

People come to the ED by the hour, the weekday and the season, to planned stays on weekdays, and to
give birth. Some of the ED's patients are admitted in its bay or hall, wait there for a bed, and
stay in wards, with days in intensive care and on leave. The desk makes mistakes
(`replay.adt.mistakes`). Whoever leaves comes again within 30 days by the risk of
`replay.adt.risk`, and not otherwise in that time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import cos, pi
from random import Random

from replay.adt import mistakes
from replay.adt.desk import BIRTHS, EMERGENCY, HALL, INTENSIVE, Desk, Made
from replay.adt.people import DAY_S, HOUR_S, Person, moment
from replay.adt.plan import Plan, Visit
from replay.adt.risk import WITHIN_DAYS, Features, probability
from replay.adt.segments import LABS, VITALS, pv2
from replay.adt.wards import Process

BY_HOUR = (
    0.5, 0.4, 0.35, 0.3, 0.3, 0.35, 0.5, 0.8, 1.1, 1.4, 1.55, 1.55,
    1.5, 1.4, 1.35, 1.35, 1.4, 1.45, 1.5, 1.45, 1.3, 1.1, 0.9, 0.65,
)  # fmt: skip
"""How many come to the ED at each hour, against the mean."""
BY_WEEKDAY = (1.15, 1.05, 1.0, 0.97, 0.97, 0.93, 0.93)
SEASON = 0.15
"""How many more come in the middle of January, and fewer in July."""
PER_DAY = 60
"""Visits to the ED; `ELECTIVE` on a weekday, and births."""
ELECTIVE, BORN = 6, 1.5
KNOWN = 0.4
"""The share of those who come that were here before."""
HOME, OTHER_HOSPITAL, NURSING, AGAINST_ADVICE, CARE_AT_HOME, DEAD = (
    "01", "02", "03", "07", "06", "20",
)  # fmt: skip
DISPOSITIONS = {
    HOME: 0.7, CARE_AT_HOME: 0.12, NURSING: 0.12, OTHER_HOSPITAL: 0.02, AGAINST_ADVICE: 0.01,
    DEAD: 0.03,
}  # fmt: skip
"""How stays end (UB-04, PV1-36), with their shares."""
COUNTS = (HOME, CARE_AT_HOME, NURSING)
"""After these a readmission counts."""
QUIET_S = (WITHIN_DAYS + 2) * DAY_S
"""For so long nobody comes again whom the risk did not choose."""
Happening = tuple[int, Callable[[Visit], Process]]


class Hospital:
    """The messages of a hospital without end, and the truth behind them (`plan`)."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(f"hospital {seed}")  # noqa: S311  # the same hospital each time
        self._desk = Desk(self._rng)
        self._time = self._desk.time
        for arrivals in (self._emergencies(), self._electives(), self._births()):
            self._time.start(arrivals)

    @property
    def plan(self) -> Plan:
        """What the messages that were yielded have to give."""
        return self._desk.plan

    def messages(self) -> Iterator[Made]:
        """Yield the messages in the order in which they are made."""
        return self._desk.messages()

    def _emergencies(self) -> Process:
        most = max(BY_HOUR) * max(BY_WEEKDAY) * (1 + SEASON)
        while True:
            yield self._desk.now_s + int(self._rng.expovariate(PER_DAY * most / DAY_S))
            if self._rng.random() * most < busyness(self._desk.now_s):
                self._time.start(self._emergency(self._somebody()))

    def _electives(self) -> Process:
        """Plan stays at the desk, in the hours when it is open on weekdays."""
        while True:
            yield self._desk.now_s + int(self._rng.expovariate(3 * ELECTIVE / DAY_S))
            now = moment(self._desk.now_s)
            if now.weekday() < 5 and 8 <= now.hour < 16:
                person = self._somebody()
                wrong = self._desk.chance(mistakes.PHANTOM)
                self._time.start(
                    mistakes.phantom(self._desk, person) if wrong else self._elective(person)
                )

    def _births(self) -> Process:
        while True:
            yield self._desk.now_s + int(self._rng.expovariate(BORN / DAY_S))
            self._time.start(self._birth(self._desk.people.mother()))

    def _somebody(self) -> Person:
        """Return somebody who was here before, long enough ago, or is new; busy from now on."""
        known = self._desk.people.known
        if known and self._desk.chance(KNOWN):
            found = self._rng.choice(known)
            since_s = QUIET_S if found.left_s is None else self._desk.now_s - found.left_s
            if not found.busy and found.died_s is None and since_s >= QUIET_S:
                found.busy = True
                return found
        person = self._desk.people.adult()
        person.busy = True
        return person

    def _emergency(self, person: Person, *, returns: bool = False) -> Process:
        """A visit to the ED, that for some goes on as a stay; who ``returns`` is one of them."""
        desk = self._desk
        visit = desk.open(person, "E", "E", mistakes.registered(desk, person))
        visit.admitted_s = desk.now_s
        visit.location = desk.wards[EMERGENCY].take() or HALL
        mistakes.put_right(desk, visit, desk.tell("A04", visit))
        yield desk.after(5, 30)
        self._vitals(visit)
        yield desk.after(60, 300)
        ill = 0.15 + 0.03 * person.charlson + 0.002 * max(person.age(desk.now_s) - 50, 0)
        if not returns and not desk.chance(ill):
            yield from self._leave(visit, AGAINST_ADVICE if desk.chance(0.03) else HOME)
            return
        self._becomes_inpatient(visit)
        desk.tell("A06", visit)
        name = self._rng.choice(mistakes.WARDS)
        bed = yield desk.wards[name]
        self._moves(visit, bed)
        yield from self._stay(visit)

    def _elective(self, person: Person) -> Process:
        desk = self._desk
        visit = desk.open(person, "C", "P", person)
        days = self._rng.randrange(2, 15)
        opening_s = (desk.now_s // DAY_S + days) * DAY_S + 7 * HOUR_S
        due_s = opening_s + self._rng.randrange(2 * HOUR_S)
        happened_s = desk.now_s
        recorded_s = desk.tell("A05", visit, behind=[pv2(due_s)])
        if desk.chance(mistakes.NO_SHOW):
            yield desk.after(60, 2000, recorded_s)
            desk.plan.mistakes["no show"] += 1
            desk.tell("A38", visit, clinical_s=happened_s)
            person.busy = False
            return
        yield due_s
        bed = yield desk.wards["SUR"]
        assert bed is not None
        self._admitted(visit, bed)
        yield from self._stay(visit)

    def _birth(self, mother: Person) -> Process:
        desk, mother.busy = self._desk, True
        bed = yield desk.wards[BIRTHS]
        assert bed is not None
        visit = desk.open(mother, "L", "I", mother)
        self._admitted(visit, bed)
        yield desk.after(120, 1200)
        child = desk.people.newborn(mother, desk.now_s)
        born = desk.open(child, "N", "I", child)
        self._admitted(born, bed)
        yield desk.after(1440, 4000)
        born.discharged_s, born.disposition = desk.now_s, HOME
        desk.tell("A03", born)
        yield desk.after(1, 10)
        yield from self._leave(visit, HOME)

    def _admitted(self, visit: Visit, bed: str) -> None:
        visit.location, visit.admitted_s = bed, self._desk.now_s
        self._becomes_inpatient(visit)
        self._desk.tell("A01", visit)

    def _becomes_inpatient(self, visit: Visit) -> None:
        visit.patient_class, visit.inpatient_s = "I", self._desk.now_s
        visit.owner.admissions_s.append(self._desk.now_s)

    def _moves(self, visit: Visit, bed: str | None) -> None:
        """Move a patient into a bed that the visit has got."""
        assert bed is not None
        before, visit.location = visit.location, bed
        self._desk.tell("A02", visit, before)
        self._desk.free(before)

    def _stay(self, visit: Visit) -> Process:
        """The days in a ward: what is to happen, by time; what a longer one covers is left out."""
        desk = self._desk
        days = self._days(visit.owner)
        end_s = self._end_s(days)
        for time_s, happening in sorted(self._happenings(days, end_s), key=lambda each: each[0]):
            if time_s > desk.now_s:
                desk.patients[visit.location] = visit
                yield time_s
                del desk.patients[visit.location]
                yield from happening(visit)
        yield max(end_s, desk.after(60, 120))
        yield from self._leave(visit, self._disposition())

    def _days(self, person: Person) -> float:
        """Return how long a stay is to take: 3 days for most, more for the ill."""
        return min(self._rng.lognormvariate(0.9 + 0.08 * min(person.charlson, 6), 0.75), 40)

    def _end_s(self, days: float) -> int:
        """Return when a stay ends: on its last day, between ten and five for most."""
        last = int((self._desk.now_s + days * DAY_S) // DAY_S)
        hour = min(max(self._rng.gauss(13.5, 2.5), 0), 23)
        end_s = int(last * DAY_S + hour * HOUR_S)
        return end_s if end_s > self._desk.now_s + 6 * HOUR_S else end_s + DAY_S

    def _happenings(self, days: float, end_s: int) -> Iterator[Happening]:
        desk, begin_s = self._desk, self._desk.now_s
        first_day = begin_s // DAY_S * DAY_S
        for time_s in range(begin_s + HOUR_S, end_s, 8 * HOUR_S):
            yield time_s, self._observed
        for time_s in range(first_day + 6 * HOUR_S, end_s, DAY_S):
            yield time_s, self._tested
        shares = (
            (mistakes.WRONG_TRANSFER, lambda visit: mistakes.transfer(desk, visit)),
            (mistakes.WRONG_DISCHARGE, lambda visit: mistakes.discharge(desk, visit)),
            (mistakes.SWAP, lambda visit: mistakes.swap(desk, visit)),
            (0.1 * (days > 2), self._intensive),
            (0.08 * (days > 3), self._on_leave),
            (0.3, self._completed),
        )
        for share, happening in shares:
            if desk.chance(share):
                yield self._rng.randrange(begin_s + HOUR_S, end_s), happening

    def _observed(self, visit: Visit) -> Process:
        self._vitals(visit)
        yield self._desk.now_s

    def _completed(self, visit: Visit) -> Process:
        """Something about the person is told that was missing (A08)."""
        self._desk.tell("A08", visit)
        yield self._desk.now_s

    def _tested(self, visit: Visit) -> Process:
        rng, person = self._rng, visit.owner
        visit.values = {
            "haemoglobin": round(person.haemoglobin + rng.gauss(0, 0.5), 1),
            "sodium": round(person.sodium + rng.gauss(0, 1.5)),
            "leukocytes": round(max(rng.gauss(8.5, 2.5), 1), 1),
        }
        self._desk.measure(visit, LABS, visit.values)
        yield self._desk.now_s

    def _intensive(self, visit: Visit) -> Process:
        """Some days in intensive care, and back in any bed of the ward, if there is a bed."""
        desk, ward = self._desk, visit.location.partition("^")[0]
        bed = desk.wards[INTENSIVE].take()
        if bed is None:
            return
        self._moves(visit, bed)
        for _ in range(self._rng.randrange(4, 20)):
            yield desk.after(200, 280)
            self._vitals(visit)
        back = yield desk.wards[ward]
        self._moves(visit, back)
        yield desk.now_s

    def _on_leave(self, visit: Visit) -> Process:
        desk = self._desk
        recorded_s = desk.tell("A21", visit)
        yield desk.after(360, 2800, recorded_s)
        desk.tell("A22", visit)
        yield desk.now_s

    def _vitals(self, visit: Visit) -> None:
        rng, ill = self._rng, min(visit.owner.charlson, 6)
        flow = round(rng.uniform(1, 4)) if self._desk.chance(0.05 + 0.03 * ill) else 0
        values: dict[str, float | str] = {
            "respiration": round(rng.gauss(16 + ill * 0.6, 2.5)),
            "oxygen": min(round(rng.gauss(97 - ill * 0.4, 1.6)), 100),
            "flow": flow,
            "systolic": round(rng.gauss(128 - ill, 16)),
            "pulse": round(rng.gauss(78 + ill * 1.5, 12)),
            "temperature": round(rng.gauss(36.9 + ill * 0.05, 0.5), 1),
            "consciousness": "Alert" if self._desk.chance(0.98) else "Voice",
        }
        self._desk.measure(visit, VITALS, values)

    def _disposition(self) -> str:
        return self._rng.choices(list(DISPOSITIONS), list(DISPOSITIONS.values()))[0]

    def _leave(self, visit: Visit, disposition: str) -> Process:
        """The end of a visit, told with its mistakes, and whether the patient comes again."""
        desk, person, left_s = self._desk, visit.owner, self._desk.now_s
        if disposition == DEAD:
            person.died_s = left_s
        told, told_s = disposition, left_s
        if desk.chance(mistakes.WRONG_DISPOSITION):
            told = HOME
        if desk.chance(mistakes.WRONG_TIME):
            told_s = mistakes.later(desk, left_s)
        visit.disposition, visit.discharged_s = told, told_s
        recorded_s = desk.tell("A03", visit, clinical_s=told_s)
        self._time.start(mistakes.correct(desk, visit, left_s, disposition, recorded_s))
        desk.free(visit.location)
        self._comes_again(visit, left_s, disposition)
        yield desk.now_s

    def _comes_again(self, visit: Visit, left_s: int, disposition: str) -> None:
        """Let a patient come again by the risk; else nobody keeps the patient any more."""
        person = visit.owner
        person.busy = False
        if visit.inpatient_s is None:
            return
        person.left_s = left_s
        if disposition not in COUNTS:
            return
        visit.probability = probability(features(visit, left_s))
        if self._desk.chance(visit.probability):
            person.busy = True
            back_s = left_s + int(self._rng.triangular(0.5, WITHIN_DAYS - 2, 6) * DAY_S)
            self._time.start(self._emergency(person, returns=True), back_s)


def features(visit: Visit, left_s: int) -> Features:
    """Return what the risk of a stay follows from, which ended at ``left_s``."""
    person, since_s = visit.owner, visit.inpatient_s
    assert since_s is not None
    before = [each for each in person.admissions_s if since_s - 365 * DAY_S <= each < since_s]
    return Features(
        admissions=len(before),
        charlson=person.charlson,
        days=(left_s - since_s) / DAY_S,
        unplanned=visit.admission_type == "E",
        haemoglobin=visit.values.get("haemoglobin"),
        sodium=visit.values.get("sodium"),
        age=person.age(left_s),
    )


def busyness(time_s: int) -> float:
    """Return how many come to the ED at a time, against the mean: by hour, weekday and season."""
    now = moment(time_s)
    season = 1 + SEASON * cos(2 * pi * (now.timetuple().tm_yday - 15) / 365)
    return BY_HOUR[now.hour] * BY_WEEKDAY[now.weekday()] * season
