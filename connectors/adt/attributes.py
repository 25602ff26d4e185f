"""Reads who a patient is (PID), what a visit is (PV1) and its diagnoses (DG1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import NamedTuple

from connectors.adt.fields import FIVE, part, plain
from connectors.adt.reader import FIELD_INVALID, Reader
from connectors.hl7.message import NULL, Segment
from state.adt.attributes import ADDRESS_END, Diagnosis
from state.clock import iso_time

PERSON_FIELDS = (5, 7, 8, 11, 13, 29, 30)
"""All fields of PID that are read here."""
ADDRESS_COMPONENTS = (1, 3, 4, 5, 6)
"""Of XAD, in the order of `state.adt.attributes.ADDRESS`."""
ACTIONS = {"A", "D", "U"}
"""DG1-21: add, delete, update. Source: HL7 v2.9, table 0206."""
DATE = re.compile(r"(\d{4})(?:(\d\d)(?:(\d\d).*)?)?", re.ASCII)
"""A date; a time of the day behind it is of no use."""
MOST_KINDS, MOST_DIAGNOSES = 32, 1000
"""Of a message with more none is read: nobody sends one, and each kind is looked at by itself."""
NAME_FROM_TEXT = 20
"""Characters of a diagnosis' text that name it where it has no code: at most 80 bytes."""


def person(pid: Segment, reader: Reader) -> tuple[str | None, ...]:
    """Return what PID says, in the order of `state.adt.attributes.PERSON`.

    A patient's messages repeat it: to read it anew took a third of the time of a message.
    """
    told = "\r".join(map(pid.raw, PERSON_FIELDS))
    found = reader.persons.get(told)
    if found is None:
        doubts = len(reader.doubts)
        found = _person(pid, reader)
        if len(reader.doubts) == doubts:
            reader.persons.remember(told, found)
    return found


def _person(pid: Segment, reader: Reader) -> tuple[str | None, ...]:
    died = reader.ns(pid, 29)
    deceased = "" if pid.raw(30) == NULL else {"Y": "true", "N": "false"}.get(pid.said(30) or "")
    return (
        *_name(pid),
        _birth_date(pid, reader),
        _said(pid, 8),
        _address(pid),
        _said(pid, 13),
        iso_time(died) if died is not None else "" if pid.raw(29) == NULL else None,
        deceased,
    )


def details(pv1: Segment) -> tuple[str | None, ...]:
    """Return what PV1 says, in the order of `state.adt.attributes.DETAILS`."""
    return (_said(pv1, 4), _attending(pv1), _said(pv1, 10), _said(pv1, 14), _said(pv1, 16))


class Listed(NamedTuple):
    """The diagnoses of one type in a message; see `state.adt.attributes.Diagnoses`."""

    kind: str
    whole: bool
    listed: tuple[Diagnosis, ...]


def diagnoses(segments: Iterable[Segment], reader: Reader) -> Iterator[Listed]:
    """Yield the diagnoses that a message names, by their type.

    One that cannot be kept is left out, and so are all where there are too many: that is doubtful
    (`Reader.doubts`), and no reason to lose where the patient is.
    """
    by_kind: dict[str, list[Segment]] = {}
    for segment in segments:
        kind = reader.kept("DG1-6", part, segment.text(6))
        if kind is not None:
            by_kind.setdefault(kind, []).append(segment)
    if len(by_kind) > MOST_KINDS or sum(map(len, by_kind.values())) > MOST_DIAGNOSES:
        reader.doubts[FIELD_INVALID, "DG1"] = None
        return
    for kind, of_kind in by_kind.items():
        whole = not any(segment.text(21) in ACTIONS for segment in of_kind)
        found = (reader.kept("DG1-3", _diagnosis, segment, reader) for segment in of_kind)
        listed = tuple(filter(None, found))
        nothing = all(segment.raw(3) == NULL for segment in of_kind)
        if listed or (whole and nothing):
            yield Listed(kind, whole, listed)


def _diagnosis(dg1: Segment, reader: Reader) -> Diagnosis | None:
    code, text, system, other, other_text, *_ = (*dg1.components(3), *FIVE)
    text = plain(text or other_text or dg1.text(4))
    name = code or other or " ".join(text.split())[:NAME_FROM_TEXT].strip()
    if not name:
        return None
    return Diagnosis(
        part(name),
        part(system or dg1.text(2)),
        text,
        plain(dg1.text(15)),
        reader.ns(dg1, 5),
        dg1.text(21) == "D",
    )


def _said(segment: Segment, field: int) -> str | None:
    said = segment.said(field)
    return said and plain(said)


def _name(pid: Segment) -> tuple[str | None, str | None]:
    """Return the family name and the given names of PID-5, which is told as a whole."""
    family = plain(pid.text(5))
    given = plain(" ".join(filter(None, (pid.text(5, 2), pid.text(5, 3)))))
    return (family, given) if family or given or NULL in pid.raw(5) else (None, None)


def _birth_date(pid: Segment, reader: Reader) -> str | None:
    """Return YYYY, YYYY-MM or YYYY-MM-DD. A birth date is a date: no zone moves it."""
    said = pid.said(7)
    if not said:
        return said
    match = DATE.fullmatch(said)
    parts = [each for each in match.groups() if each] if match else []
    try:
        date(*map(int, (*parts, "1", "1")[:3]))
    except (TypeError, ValueError):
        reader.doubts["time_invalid", "PID-7"] = None
        return None
    return "-".join(parts)


def _address(pid: Segment) -> str | None:
    """Return the first address as one text (`state.adt.attributes.ADDRESS`)."""
    said = pid.raw(11)
    if not said or said == NULL:
        return pid.said(11)
    parts = [plain(pid.text(11, component)) for component in ADDRESS_COMPONENTS]
    return ADDRESS_END.join(parts) if any(parts) else None


def _attending(pv1: Segment) -> str | None:
    """Return id^family^given of PV1-7."""
    said = pv1.raw(7)
    if not said or said == NULL:
        return pv1.said(7)
    return "^".join(map(plain, (*pv1.components(7), *FIVE)[:3])).rstrip("^") or None
