"""Fields of a message's body, checked. Every function raises WrongType or OutOfRange."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar

from state.clock import DAY_NS, MS, NS
from state.errors import OutOfRange, WrongType

MAX_NAME = 64
"""The most characters of an account, an order id, a symbol or any other name."""

MAX_NUMBER = 1e15
"""The largest price, quantity or value."""

UNITS = 10**8
"""Quantities are kept as whole numbers of this part of a share, so that sums of them are exact."""

_UNITS_NS = {
    "ns": 1, "us": 1_000, "ms": MS, "s": NS, "m": 60 * NS, "h": 3600 * NS, "d": DAY_NS,
}  # fmt: skip
_INTERVAL = re.compile(r"(\d{1,18})(ns|us|ms|s|m|h|d)", re.ASCII)

T = TypeVar("T")


def field(body: Mapping[str, Any], name: str) -> Any:
    """Return a field that must be there."""
    try:
        return body[name]
    except KeyError:
        raise WrongType(f"{name!r} is missing") from None


def string_of(body: Mapping[str, Any], name: str) -> str:
    """Return text of any length."""
    value = field(body, name)
    if not isinstance(value, str):
        raise WrongType(f"{name!r} must be text")
    return value


def name_of(body: Mapping[str, Any], name: str) -> str:
    """Return a name: text of 1 to MAX_NAME characters."""
    value = string_of(body, name)
    if not 0 < len(value) <= MAX_NAME:
        raise OutOfRange(f"{name!r} must have 1 to {MAX_NAME} characters")
    return value


def text_of(body: Mapping[str, Any], name: str) -> str:
    """Return any text, cut to 200 characters; '' where the field is missing or null."""
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise WrongType(f"{name!r} must be text")
    return value[:200]


def choice_of(body: Mapping[str, Any], name: str, choices: Mapping[str, T]) -> T:
    """Return what a field's text stands for."""
    value = string_of(body, name)
    if value not in choices:
        raise OutOfRange(f"{name!r} must be one of {', '.join(choices)}")
    return choices[value]


def flag_of(body: Mapping[str, Any], name: str) -> bool:
    """Return true or false."""
    value = field(body, name)
    if not isinstance(value, bool):
        raise WrongType(f"{name!r} must be true or false")
    return value


def number_of(body: Mapping[str, Any], name: str) -> float:
    """Return a finite number of at most MAX_NUMBER either way."""
    value = field(body, name)
    if type(value) not in (int, float):
        raise WrongType(f"{name!r} must be a number")
    if not abs(value) <= MAX_NUMBER:  # nor is NaN
        raise OutOfRange(f"{name!r} must lie within ±{MAX_NUMBER:g}")
    return float(value)


def positive_of(body: Mapping[str, Any], name: str) -> float:
    """Return a number above 0."""
    value = number_of(body, name)
    if value <= 0.0:
        raise OutOfRange(f"{name!r} must be above 0")
    return value


def optional_positive_of(body: Mapping[str, Any], name: str) -> float | None:
    """Return a number above 0, or None where the field is null; it must be there."""
    return None if field(body, name) is None else positive_of(body, name)


def optional_number_of(body: Mapping[str, Any], name: str) -> float | None:
    """Return a number as `number_of`, or None where the field is null; it must be there."""
    return None if field(body, name) is None else number_of(body, name)


def time_of(body: Mapping[str, Any], name: str = "ts_ns") -> int:
    """Return a time, ns since 1970 UTC."""
    value = field(body, name)
    if type(value) is not int:
        raise WrongType(f"{name!r} must be a whole number")
    if not 0 <= value < 1 << 63:
        raise OutOfRange(f"{name!r} must be ns since 1970")
    return value


def generation_of(body: Mapping[str, Any]) -> int:
    """Return the number of a generation, from 1 on."""
    value = field(body, "generation")
    if type(value) is not int:
        raise WrongType("'generation' must be a whole number")
    if not 0 < value < 1 << 63:
        raise OutOfRange("generations count from 1")
    return value


def interval_of(body: Mapping[str, Any]) -> int:
    """Return how long the ``interval`` of a bar lasts, in ns."""
    match = _INTERVAL.fullmatch(name_of(body, "interval"))
    if match is None:
        raise OutOfRange("'interval' must be a number and its unit")
    return int(match[1]) * _UNITS_NS[match[2]]


def units_of(body: Mapping[str, Any], name: str) -> int:
    """Return a quantity above 0 in units, of which it must be a whole number."""
    # The decimal that was written, not the double next to it.
    units = Decimal(repr(positive_of(body, name))) * UNITS
    if units != int(units):
        raise OutOfRange(f"{name!r} must have at most 8 decimals")
    return int(units)
