"""Mistakes that people make at the desk, and how they put them right. None moves a real patient.

What is told by mistake is told under a time of its own. Who takes it back waits until it is
recorded, since a cancel counts for what was recorded before it.
"""

from __future__ import annotations

from replay.adt.desk import Desk
from replay.adt.people import MINUTE_S, Person
from replay.adt.plan import Visit
from replay.adt.segments import mrg, pid, pv1
from replay.adt.wards import Process

WRONG_TRANSFER, TAKEN, NEVER_CANCELLED = 0.08, 0.4, 0.3
WRONG_DISCHARGE = 0.04
WRONG_TIME, WRONG_DISPOSITION = 0.06, 0.04
UNKNOWN, WRONG_PATIENT = 0.02, 0.015
PHANTOM, NO_SHOW = 0.05, 0.1
SWAP = 0.04
"""How often each happens, as a share of what it can happen to."""
WARDS = ("MED", "SUR", "CAR", "GER")


def registered(desk: Desk, person: Person) -> Person:
    """Return under whose number a visit of a person begins: nobody's known, another's, or its."""
    if desk.chance(UNKNOWN):
        return desk.people.unknown(person)
    others = desk.people.known
    if desk.chance(WRONG_PATIENT) and (other := desk.rng.choice(others)) is not person:
        return other
    return person


def put_right(desk: Desk, visit: Visit, recorded_s: int) -> None:
    """Let a visit come under the number of whose it is."""
    if visit.registered is not visit.owner:
        desk.time.start(_put_right(desk, visit, recorded_s))


def _put_right(desk: Desk, visit: Visit, recorded_s: int) -> Process:
    """Merge the unknown person (A40), or move the visit from a wrong one (A45)."""
    yield desk.after(30, 1440, recorded_s)
    wrong, visit.registered = visit.registered, visit.owner
    person = pid(visit.owner)
    if wrong.number.startswith("U"):
        desk.plan.mistakes["unknown"] += 1
        desk.say("A40", [person, mrg(wrong)])
    else:
        desk.plan.mistakes["wrong patient"] += 1
        desk.say("A45", [person, mrg(wrong, visit), pv1(visit)])


def transfer(desk: Desk, visit: Visit) -> Process:
    """Transfer a patient to another's bed or a free one by mistake, and cancel it (A12).

    Some never cancel it but transfer the patient back, so that the bed was taken twice.
    """
    home, ward = visit.location, visit.location.partition("^")[0]
    taken = [bed for bed in desk.patients if bed != home]
    wants_taken = bool(taken) and desk.chance(TAKEN)
    bed = desk.rng.choice(taken) if wants_taken else desk.wards[ward].take()
    if bed is None:
        return
    desk.plan.mistakes["wrong transfer"] += 1
    visit.location, happened_s = bed, desk.now_s
    if wants_taken:
        desk.plan.double_booked.add((bed, visit.number))
    recorded_s = desk.tell("A02", visit, home)
    yield desk.after(5, 60, recorded_s)
    visit.location = home
    if wants_taken and desk.chance(NEVER_CANCELLED):
        desk.plan.mistakes["taken twice"] += 1
        desk.tell("A02", visit, bed)
        return
    desk.plan.double_booked.discard((bed, visit.number))
    desk.tell("A12", visit, bed, happened_s)
    if not wants_taken:
        yield desk.now_s
        desk.give(bed)


def discharge(desk: Desk, visit: Visit) -> Process:
    """Discharge a patient who stays, and cancel that (A13)."""
    desk.plan.mistakes["wrong discharge"] += 1
    visit.discharged_s, visit.disposition = desk.now_s, "01"
    happened_s, recorded_s = desk.now_s, desk.tell("A03", visit)
    yield desk.after(5, 90, recorded_s)
    visit.discharged_s, visit.disposition = None, ""
    # The discharge that counts has to be recorded after this one was taken back.
    yield desk.tell("A13", visit, clinical_s=happened_s)


def correct(desk: Desk, visit: Visit, left_s: int, disposition: str, recorded_s: int) -> Process:
    """Correct when a patient left, and where to (A08), if a discharge told that wrong."""
    if (visit.discharged_s, visit.disposition) == (left_s, disposition):
        return
    yield desk.after(30, 600, recorded_s)
    kind = "wrong time" if visit.discharged_s != left_s else "wrong disposition"
    desk.plan.mistakes[kind] += 1
    visit.discharged_s, visit.disposition = left_s, disposition
    desk.tell("A08", visit)


def later(desk: Desk, left_s: int) -> int:
    """Return when a patient left who left at ``left_s``, as told by a clock that is ahead."""
    return left_s + desk.rng.randrange(1, 5) * MINUTE_S


def swap(desk: Desk, visit: Visit) -> Process:
    """Let two patients of a ward change beds (A17)."""
    ward = visit.location.partition("^")[0]
    others = [
        other
        for bed, other in desk.patients.items()
        if bed.partition("^")[0] == ward and other is not visit
    ]
    if not others:
        return
    other = desk.rng.choice(others)
    here, there = visit.location, other.location
    del desk.patients[there]
    desk.patients[here] = other
    visit.location, other.location = there, here
    who = [(visit, here), (other, there)]
    told = [part for each, prior in who for part in (pid(each.registered), pv1(each, prior))]
    desk.say("A17", told)
    yield desk.now_s


def phantom(desk: Desk, person: Person) -> Process:
    """Admit somebody who is not there into a free bed, and cancel that (A11)."""
    bed = yield desk.wards[desk.rng.choice(WARDS)]
    assert bed is not None
    desk.plan.mistakes["phantom"] += 1
    visit = desk.open(person, "C", "I", person)
    visit.location, visit.admitted_s = bed, desk.now_s
    happened_s, recorded_s = desk.now_s, desk.tell("A01", visit)
    yield desk.after(3, 60, recorded_s)
    desk.tell("A11", visit, clinical_s=happened_s)
    yield desk.now_s
    person.busy = False
    desk.give(bed)
