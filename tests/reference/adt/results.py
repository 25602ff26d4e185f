"""What became of results, by the definition: who they are of, the newest, and deleted persons.

Of each OBX here the order (OBR-3), the code and the time (OBX-14) are told, and the status is
final, preliminary, corrected or wrong: `tests.operators.adt.told` knows all others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import NamedTuple

from connectors.hl7.message import Message, Segment
from tests.reference.adt.keys import Keys
from tests.reference.adt.rows import Row, iso, table
from tests.reference.adt.said import Group, Teller, listen
from tests.reference.adt.terms import DELETES_PERSON, MEDICAL_RECORD, Id, Said

FINAL, NOT_YET = {"F": "final", "C": "corrected", "W": "entered-in-error"}, {"P": "preliminary"}


class Result(NamedTuple):
    """An OBX; what orders those of one observation comes first."""

    is_final: bool
    r: int
    h: str
    patient: Id
    visit: Id | None
    order: str
    code: str
    t: int
    value: str
    status: str


def observations(messages: Iterable[Message]) -> list[Row]:
    """Return what stands of each observation of each visit."""
    said, told = Said(), list[Result]()
    for message in messages:
        listen(message, UTC, said)
        told += results(message)
    keys = Keys(said)
    found: dict[tuple[object, ...], list[Result]] = defaultdict(list)
    for each in told:
        key = (
            keys.key(each.patient, each.visit) if each.visit else (keys.survivor(each.patient), "")
        )
        found[*key, each.order, each.code, each.t].append(each)
    return table(row(keys, key, of_one) for key, of_one in found.items())


def row(keys: Keys, key: tuple[object, ...], of_one: list[Result]) -> Row:
    """Return the newest that was told since the person was deleted, else what was deleted."""
    patient, visit, order, code, t = key
    deletions = (
        fact.r
        for fact in keys.said.facts
        if fact.trigger == DELETES_PERSON and patient in (fact.patient, keys.survivor(fact.patient))
    )
    deleted = max(deletions, default=-1)
    since = [each for each in of_one if each.r > deleted]
    newest = max(since or of_one)
    return {
        "patient": str(patient),
        "visit": str(visit) or None,
        "filler": order,
        "code": code,
        "time": iso(int(str(t))),
        "value": newest.value,
        "status": newest.status if since else "entered-in-error",
    }


def results(message: Message) -> Iterator[Result]:
    """Yield what an ORU of one order tells."""
    if message.text("MSH", 9) != "ORU":
        return
    group = Group(message.first("PID"), None, message.first("PV1"))
    teller = Teller(message, "", group, 0, UTC)
    patient = teller.number(group.pid, 3, MEDICAL_RECORD)
    for place, obx in enumerate(each for each in message if each.name == "OBX"):
        yield result(teller, patient, obx, f"{message.digest()} {place:06}")


def result(teller: Teller, patient: Id | None, obx: Segment, h: str) -> Result:
    """Return what an OBX tells."""
    t, status = teller.time(obx, 14), obx.text(11)
    assert patient, "it is told here"
    assert t is not None, "it is told here"
    assert teller.r is not None, "it is told here"
    return Result(
        status in FINAL,
        teller.r,
        h,
        patient,
        teller.visit,
        teller.message.text("OBR", 3),
        obx.text(3),
        t,
        obx.text(5),
        (FINAL | NOT_YET)[status],
    )
