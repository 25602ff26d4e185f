"""The tables of patient care without the names, by an allow-list (state/adt/deidentified.py).

Rows are lines of ``tables/`` as JSON objects. Both modes go by patient and visit as they are after
all merges. Where codes come from, and by how much times move, is for the caller to say.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import orjson

from state.adt.deidentified import (
    AGES,
    ALLOWED,
    FORMS,
    MOST_DIGITS,
    MOVED,
    NEEDED,
    PER_YEAR,
    SMALL_ZIP3,
    STATES,
    Mode,
    Treatment,
)

Row = dict[str, Any]
Parts = tuple[str, ...]
Tables = Mapping[str, list[Row]]
OLDEST = 89
"""Who is older, in years, is 90+."""
LEAST_CELL = 11
"""A count of fewer is not told, as CMS has it for its own tables."""
_COUNTRIES = frozenset({"", "US", "USA"})
_ZIP = re.compile(r"([0-9]{3})[0-9]{2}(-?[0-9]{4})?")
_DAY = timedelta(days=1)


class Names(Protocol):
    """What stands for whom."""

    def code(self, kind: str, parts: Parts, former: Iterable[Parts] = ()) -> str:
        """Return the code of a patient, a visit, a ward or a bed: always the same one.

        What has none takes over that of the first of ``former`` that has one.
        """

    def days(self, parts: Parts) -> int:
        """Return by how many days the times of a patient move."""


class Deidentifier:
    """Turns tables into ones that tell of no person.

    ``year`` is the one in which that is done: the age of the living goes by it.
    """

    def __init__(
        self,
        mode: Mode,
        names: Names,
        tables: Tables,
        year: int,
        small_zip3: Collection[str] = SMALL_ZIP3,
    ) -> None:
        self._mode: Mode = mode
        self._names = names
        self._tables = tables
        self._small = frozenset(small_zip3)
        # A day of a visit that is not over, beside the date of the release, would tell a date.
        self._began = {
            (row["domain"], row["patient"], row["visit"]): _time(row["admitted"])
            for row in tables.get("encounters", ())
            if row["admitted"] and row["discharged"]
        }
        self._merged = {
            (row["domain"], row["patient"]): [(row["domain"], each) for each in row["merged"]]
            for row in tables.get("patients", ())
        }
        self._aged = set(_aged(tables, year)) if mode == "safe_harbor" else set()

    def tables(self) -> dict[str, list[Row]]:
        """Return the rows of each output that may leave, in an order that tells nothing."""
        outputs = dict.fromkeys(field.partition(".")[0] for field in ALLOWED)
        found = {
            output: [self.row(output, row) for row in self._tables[output]]
            for output in outputs
            if output in self._tables
        }
        return {output: sorted(filter(None, rows), key=_order) for output, rows in found.items()}

    def row(self, output: str, row: Row) -> Row:
        """Return what is left of a row of an output, {} where that is nothing worth having."""
        found: Row = {}
        for field, value in row.items():
            treatments = ALLOWED.get(f"{output}.{field}")
            if treatments is not None and value is not None:
                found |= self._treated(getattr(treatments, self._mode), output, field, row)
        measured = output != "observations" or _is_measured(row, found)
        whole = all(name in found for name in NEEDED.get(output, ()))
        return found if measured and whole else {}

    def _treated(self, treatment: Treatment, output: str, field: str, row: Row) -> Row:
        value, whose = row[field], (row["domain"], row.get("patient") or "")
        match treatment:
            case Treatment.KEEP:
                return {field: value} if _has_form(output, field, value) else {}
            case Treatment.CODE:
                return {field: self._code(field, row)}
            case Treatment.YEAR:
                return {f"{field}_year": _time(value).year}
            case Treatment.DAY:
                return self._day(field, row)
            case Treatment.AGE:
                return {"age": "90+"} if whose in self._aged else {"birth_year": int(value[:4])}
            case Treatment.ZIP3:
                return self._zip3(value)
            case Treatment.SHIFT if whose[1]:
                return _shifted(MOVED.get(field, field), value, self._names.days(whose))
        return {}

    def _code(self, field: str, row: Row) -> str:
        domain = row["domain"]
        if field == "domain":
            return self._names.code("domain", (domain,))
        if field == "location":
            ward, _, bed = row["location"].partition("^")
            code = self._names.code("ward", (domain, ward))
            return f"{code}^{self._names.code('bed', (domain, ward, bed))}" if bed else code
        whose = domain, row["patient"]
        # Who has become 90+ since an earlier release has another code: with the same one, a birth
        # year told then would tell the age now.
        aged = ("90+",) if whose in self._aged else ()
        if field == "visit":
            return self._names.code("visit", (domain, row["visit"], *aged))
        former = [(*each, *aged) for each in self._merged.get(whose, ())]
        return self._names.code("patient", (*whose, *aged), former)

    def _day(self, field: str, row: Row) -> Row:
        began = self._began.get((row["domain"], row["patient"], row.get("visit")))
        if began is None:
            return {}
        day = (_time(row[field]) - began) // _DAY
        # Long before, it would tell an age: a birth date stands where a time should, say.
        return {f"{field}_day": day} if day >= 0 else {}

    def _zip3(self, address: Mapping[str, str]) -> Row:
        if address.get("country", "").upper() not in _COUNTRIES:
            return {}
        found = {}
        if match := _ZIP.fullmatch(address.get("zip", "")):
            found["zip3"] = "000" if match[1] in self._small else match[1]
        if re.fullmatch(STATES, address.get("state", "")):
            found["state"] = address["state"]
        return found


def counts(tables: Tables) -> list[Row]:
    """Return how many visits began in each year, by class; of fewer than `LEAST_CELL` no number."""
    cells = Counter(
        (row.get("admitted_year") or row.get("admitted", "")[:4], row.get("class"))
        for row in tables.get("encounters", ())
    )
    return [
        {"year": year or None, "class": of, "visits": count if count >= LEAST_CELL else None}
        for (year, of), count in sorted(cells.items(), key=str)
    ]


def _aged(tables: Tables, year: int) -> Iterator[Parts]:
    """Yield who is over 89 in ``year``, or was at any time of which a row tells.

    Two years that are 90 apart may be those of somebody of 89; they may be of one of 90 as well.
    """
    newest: dict[Parts, int] = {}
    for whose, told in _times(tables):
        newest[whose] = max(newest.get(whose, 0), told)
    for row in tables.get("patients", ()):
        whose = row["domain"], row["patient"]
        if row["birth_date"]:
            last = max(newest.get(whose, 0), 0 if row["died"] else year)
            if last - int(row["birth_date"][:4]) > OLDEST:
                yield whose


def _times(tables: Tables) -> Iterator[tuple[Parts, int]]:
    """Yield the year of each time that a row of a patient tells, but for the birth."""
    times = {field for field, each in ALLOWED.items() if each.pseudonymised is Treatment.SHIFT}
    for output, name in (field.split(".") for field in times - {"patients.birth_date"}):
        for row in tables.get(output, ()):
            if row.get("patient") and row.get(name):
                yield (row["domain"], row["patient"]), _time(row[name]).year


def _is_measured(row: Row, found: Row) -> bool:
    """Return whether an observation is a number that is neither an age nor an identifier."""
    digits = re.sub(r"[eE].*|\D", "", row.get("value") or "").lstrip("0")
    return len(digits) <= MOST_DIGITS and found.get("code") not in AGES and not _is_old(found)


def _is_old(found: Row) -> bool:
    """Return whether a number is a time that only the age of somebody over 89 is as long as."""
    per_year = PER_YEAR.get(found.get("unit_ucum", ""))
    return per_year is not None and abs(found.get("value_ucum", 0)) >= OLDEST * per_year


def _has_form(output: str, field: str, value: Any) -> bool:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return re.fullmatch(FORMS[f"{output}.{field}"], text) is not None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _shifted(field: str, text: str, days: int) -> Row:
    """Return a time, or a date of any precision, so many days later, in the same form.

    A month or a year moves with its middle. Nothing where no calendar has the day.
    """
    try:
        if "T" in text:
            moved = _time(text).astimezone(UTC) + days * _DAY
            return {field: moved.isoformat().replace("+00:00", "Z")}
        middle = {4: "-07-01", 7: "-15"}.get(len(text), "")
        return {field: (_time(text + middle) + days * _DAY).date().isoformat()[: len(text)]}
    except OverflowError:
        return {}


def _order(row: Row) -> bytes:
    return orjson.dumps(row, option=orjson.OPT_SORT_KEYS)
