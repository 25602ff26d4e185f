"""Results and vital signs (HL7 v2 ORU) into observations: one of each OBX.

A message may hold several patients (PID), and each of them several orders (OBR). Comments (NTE)
and specimens (SPM) say nothing here. Which of several observations stands is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, tzinfo
from typing import NamedTuple

from connectors.adt.envelope import ALONE, Domains
from connectors.adt.fields import part, plain, within
from connectors.adt.reader import FIELD_INVALID, RECORDED, Place, Reader, needed, placed
from connectors.hl7.message import NOTHING, Message, Segment
from state.adt.facts import Oddity
from state.adt.observations import (
    CODED,
    CONFIRMS,
    LOINC,
    NUMBER,
    STATUSES,
    TEXT,
    UNKNOWN,
    Observation,
)
from state.errors import NoTime

RESULTS = "ORU"
"""MSH-9 of messages of results."""
ENOUGH = ("",) * 12
"""Components that a field may leave out."""
FORM = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)", re.ASCII)
"""A number; source: HL7 v2.9, 2A.3.44 (NM), which knows no exponent."""
MOST_DIGITS = 30
"""Characters of a number; what is longer is an identifier, and stays text."""
BOUND = re.compile(r"(<=?|>=?)\s*(\S*)", re.ASCII)
"""A number with a comparator where only a number belongs (NM): Simhospital's eGFR, and many."""
COMPARATORS = {"": None, "=": None, "<": "<", "<=": "<=", ">": ">", ">=": ">="}
"""SN.1 and the comparator; others, such as <>, make no bound."""
TRIPLETS = ((0, 1, 2), (3, 4, 5), (9, 10, 11))
"""Where code, text and system stand in a CWE, from 0."""
TENS = frozenset({"10", "x10", "X10", "x 10", "X 10"})
"""What is before a component separator in a unit with a power: 10^9/L, not escaped."""
ENCAPSULATED = frozenset({"ED", "RP"})
NUMERIC = frozenset({"NM", ""})
"""Types of a number. Where the type is missing, what looks like a number is one."""
CODES = frozenset({"CE", "CNE", "CWE", "CF"})


class Results(NamedTuple):
    """What a message says: nothing if it holds no OBX."""

    domain: str
    recorded_ns: int
    observations: tuple[Observation, ...]
    oddities: tuple[Oddity, ...] = ()
    """Times that cannot be, or may be two."""


def results(message: Message, zone: tzinfo = UTC, domains: Domains = ALONE) -> Results:
    """Return the observations of a message (`RESULTS`); ``zone`` counts where it names none.

    Raises BadRecord, which repeats nothing of the message: where a patient has no number (PID-3),
    or where neither MSH-7 nor an observation has a time.
    """
    reader = _Results(message, zone, domains)
    return Results(reader.domain(), reader.recorded_ns, *reader.read())


class _Order(NamedTuple):
    """The segments that an OBX belongs to; an empty one for what is missing."""

    pid: Segment
    pv1: Segment
    orc: Segment
    obr: Segment


class _About(NamedTuple):
    """Whom and which order an OBX is about."""

    patient: str
    visit: str
    filler: str | None
    """None where the number of the order cannot be kept."""


class _Results:
    """Reads the observations of one message."""

    def __init__(self, message: Message, zone: tzinfo, domains: Domains) -> None:
        self._reader = Reader(message, zone, domains)
        self._digest = self._reader.digest()
        self._found = list(_observed(message))
        self._about: dict[_Order, _About] = {}  # an order may have hundreds of OBX
        evn, msh = message.one("EVN"), message.one("MSH")
        sent_ns = self._reader.any_ns((evn, 2), (msh, 7), within=RECORDED)
        self.recorded_ns = self._latest_ns() if sent_ns is None else sent_ns
        """EVN-2, else MSH-7, else the latest time of an observation."""

    def domain(self) -> str:
        """Return the merge domain."""
        return self._reader.domain()

    def read(self) -> tuple[tuple[Observation, ...], tuple[Oddity, ...]]:
        """Return the observations in the order of the message, and what is strange.

        What is strange about the sending goes with the first of them.
        """
        observations: list[Observation] = []
        oddities: dict[Oddity, None] = {}
        for place, (order, obx) in enumerate(self._found):
            about = self._about_of(order)
            taken_ns = self._reader.any_ns(*_times(order, obx))
            if (found := self._observation(place, about, taken_ns, obx)) is not None:
                observations.append(found)
            clinical_ns = self.recorded_ns if taken_ns is None else taken_ns
            for kind, field in self._reader.doubts:
                told = kind, about.patient, about.visit, field
                # Of fields that are left out one is told, however many results a message has.
                when_ns = self.recorded_ns if kind == FIELD_INVALID else clinical_ns
                oddities[Oddity(when_ns, *told, self.recorded_ns)] = None
            self._reader.doubts.clear()
        return tuple(observations), tuple(oddities)

    def _latest_ns(self) -> int:
        times = (
            self._reader.any_ns(*_times(order, obx), within=RECORDED) for order, obx in self._found
        )
        latest_ns = max((ns for ns in times if ns is not None), default=None)
        if latest_ns is None:
            raise NoTime("neither EVN, MSH-7 nor an observation has a time")
        return latest_ns

    def _observation(
        self, place: int, about: _About, taken_ns: int | None, obx: Segment
    ) -> Observation | None:
        """Return what an OBX tells; None, and a doubt, where what names it cannot be kept."""
        code = self._reader.kept("OBX-3", _code, obx)
        sub_id = self._reader.kept("OBX-4", _sub_id, obx)
        if about.filler is None or code is None or sub_id is None:
            return None
        value = _value(obx)
        status = obx.text(11).upper()
        return Observation(
            self.recorded_ns,
            self.recorded_ns if taken_ns is None else taken_ns,
            placed(self._digest, place),
            about.patient,
            about.visit,
            about.filler,
            *code,
            sub_id,
            taken_ns is not None,
            *value,
            _unit(obx),
            STATUSES.get(status, UNKNOWN),
            value.value is None and status == CONFIRMS,
        )

    def _about_of(self, order: _Order) -> _About:
        if order not in self._about:
            reader, pid = self._reader, order.pid
            patient = needed("PID-3", reader.patient(pid))
            filler = reader.kept("OBR-3", _filler, order)
            self._about[order] = _About(patient, reader.visit(pid, order.pv1), filler)
        return self._about[order]


def _observed(message: Message) -> Iterator[tuple[_Order, Segment]]:
    """Yield each OBX and what it belongs to."""
    nothing = NOTHING
    order = _Order(nothing, nothing, nothing, nothing)
    for segment in message:
        if segment.name == "PID":
            order = _Order(segment, nothing, nothing, nothing)
        elif segment.name == "PV1":
            order = order._replace(pv1=segment)
        elif segment.name == "ORC":
            order = order._replace(orc=segment, obr=nothing)
        elif segment.name == "OBR":
            # An ORC belongs to the first OBR behind it.
            orc = order.orc if order.obr is nothing else nothing
            order = order._replace(orc=orc, obr=segment)
        elif segment.name == "OBX":
            yield order, segment


def _times(order: _Order, obx: Segment) -> tuple[Place, Place]:
    """Return where the time of an observation may stand."""
    return (obx, 14), (order.obr, 7)


def _filler(order: _Order) -> str:
    """Return OBR-3, else ORC-3, else OBR-2, as id^namespace; "" without any."""
    for segment, field in ((order.obr, 3), (order.orc, 3), (order.obr, 2)):
        if segment.text(field):
            return "^".join((part(segment.text(field)), part(segment.text(field, 2)))).rstrip("^")
    return ""


def _code(obx: Segment) -> tuple[str, str, str]:
    """Return code, system and text: LOINC's where it is there, else the first code."""
    parts = (*obx.components(3), *ENOUGH)[:12]
    triplets = [tuple(parts[each] for each in triplet) for triplet in TRIPLETS]
    told = [each for each in triplets if each[0]] or triplets
    code, text, system = next((each for each in told if each[2] in LOINC), told[0])
    return part(code), part(system), plain(text or parts[8])


def _sub_id(obx: Segment) -> str:
    """Return OBX-4; since 2.8.2 it has components (OG)."""
    return within("^".join(map(part, obx.components(4))).rstrip("^"))


class _Value(NamedTuple):
    kind: str
    value: str | None
    comparator: str | None = None


def _value(obx: Segment) -> _Value:
    """Return OBX-5 by its type (OBX-2)."""
    kind = obx.text(2).upper()
    if kind in ENCAPSULATED:
        return _Value("", None)
    if kind == "SN":
        return _structured(obx)
    if kind in CODES:
        return _coded(obx)
    told = plain(obx.whole(5)).strip()
    if not told:
        return _Value("", None)
    return _numeric(told) if kind in NUMERIC else _Value(TEXT, told)


def _numeric(told: str) -> _Value:
    """Return a number, or the bound of one; what is neither stays text."""
    if _is_number(told):
        return _Value(NUMBER, told)
    bound = BOUND.fullmatch(told)
    if bound and _is_number(bound[2]):
        return _Value(NUMBER, bound[2], bound[1])
    return _Value(TEXT, told)


def _structured(obx: Segment) -> _Value:
    """Return a number and its comparator; text where it is a range, a ratio or a titre (SN)."""
    comparator, number, *more = (*obx.components(5), "", "")
    comparator = comparator.replace(" ", "")
    if _is_number(number) and comparator in COMPARATORS and not any(more):
        return _Value(NUMBER, number, COMPARATORS[comparator])
    told = plain("".join((comparator, number, *more)))
    return _Value(TEXT, told) if told else _Value("", None)


def _coded(obx: Segment) -> _Value:
    """Return code^text of each repetition, between them a ~; the second code without a first."""
    told = [_concept(obx.components(5, each + 1)) for each in range(obx.repetitions(5))]
    value = plain("~".join(each for each in told if each))
    return _Value(CODED, value) if value else _Value("", None)


def _concept(components: list[str]) -> str:
    """Return code^text; of several codes the first, and the original text where there is no other.

    Where a code has a separator in it, it is escaped again.
    """
    parts = (*components, *ENOUGH)[:12]
    code, text = next(
        ((parts[at], parts[at + 1]) for at, _, _ in TRIPLETS if parts[at] or parts[at + 1]),
        ("", ""),
    )
    pair = (code, text or parts[8])
    return "^".join(each.replace("^", "\\S\\").replace("~", "\\R\\") for each in pair).rstrip("^")


def _unit(obx: Segment) -> str | None:
    """Return OBX-6 as sent, its code, else its name; None where there is none."""
    parts = (*obx.components(6), *ENOUGH)[:6]
    if parts[0] in TENS and parts[1]:
        return plain(f"{parts[0]}^{parts[1]}")
    return plain(parts[0] or parts[1] or parts[3]) or None


def _is_number(text: str) -> bool:
    return len(text) <= MOST_DIGITS and FORM.fullmatch(text) is not None
