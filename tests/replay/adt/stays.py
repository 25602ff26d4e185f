"""The features of stays, read from their messages without the hospital's plan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta

from replay.adt.people import CONDITIONS
from replay.adt.risk import Features
from replay.adt.segments import LABS
from tests.operators.adt.tables import Rows

Lines = list[list[str]]


class Stays:
    """What messages tell of each visit: who, when and with what."""

    def __init__(self, raws: Iterable[bytes]) -> None:
        self._began: dict[str, datetime] = {}
        self._born: dict[str, date] = {}
        self._types: dict[str, str] = {}
        self._codes: dict[str, set[str]] = defaultdict(set)
        self._values: dict[tuple[str, str], tuple[str, str]] = {}
        for raw in raws:
            lines = [line.split("|") for line in raw.decode().split("\r")]
            named = {fields[0]: fields for fields in lines}
            if "PV1" in named:
                self._read(named, lines)

    def _read(self, named: dict[str, list[str]], lines: Lines) -> None:
        visit, trigger = number(named["PV1"][19]), named["MSH"][8].split("^")[1]
        self._types[visit] = named["PV1"][4]
        if trigger in ("A01", "A06"):
            self._began[visit] = datetime.fromisoformat(iso(named["EVN"][6]) + "+00:00")
        if trigger == "A03":
            self._born[visit] = date.fromisoformat(named["PID"][7])
        for fields in lines:
            if fields[0] == "DG1" and trigger == "A03":
                self._codes[visit].add(fields[3].split("^")[0])
            if fields[0] == "OBX":
                where = visit, fields[3].split("^")[0]
                found = fields[14], fields[5]
                self._values[where] = max(self._values.get(where, found), found)

    def features(self, encounters: Rows) -> dict[str, Features]:
        """Return the features of each finished stay of an inpatient."""
        whose = {number(row["visit"]): row["patient"] for row in encounters}
        return {
            visit: self._of(visit, whose, datetime.fromisoformat(row["discharged"]))
            for row in encounters
            if row["status"] == "finished" and (visit := number(row["visit"])) in self._began
        }

    def _of(self, visit: str, whose: dict[str, str], left: datetime) -> Features:
        began, born = self._began[visit], self._born[visit]
        had_birthday = (left.month, left.day) >= (born.month, born.day)
        return Features(
            sum(whose[each] == whose[visit] and at < began for each, at in self._began.items()),
            sum(CONDITIONS[code][1] for code in self._codes[visit]),
            (left - began) / timedelta(days=1),
            self._types[visit] == "E",
            self._value(visit, "haemoglobin"),
            self._value(visit, "sodium"),
            left.year - born.year - (not had_birthday),
        )

    def _value(self, visit: str, name: str) -> float | None:
        told = self._values.get((visit, LABS[name].code))
        return None if told is None else float(told[1])


def number(text: str) -> str:
    """Return a number without its authority."""
    return text.partition("^")[0]


def iso(text: str) -> str:
    """Return a time of HL7 as ISO 8601 has it."""
    return f"{text[:8]}T{text[8:]}"
