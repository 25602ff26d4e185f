"""What every part of the settings is made of."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from state.clock import NS

_UNITS_NS = {"us": 1_000, "ms": 1_000_000, "s": NS, "m": 60 * NS, "h": 3600 * NS, "d": 86400 * NS}


def duration_ns(value: object) -> object:
    """Return nanoseconds from text such as ``250ms``, ``5s``, ``1m``; anything else unchanged."""
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+)(us|ms|s|m|h|d)", value)
        if not match:
            raise ValueError(
                f"{value!r} is no duration: write a whole number and us, ms, s, m, h or d"
            )
        return int(match[1]) * _UNITS_NS[match[2]]
    return value


Duration = Annotated[int, BeforeValidator(duration_ns), Field(ge=0)]
"""Nanoseconds; in files and variables, text such as ``5s``."""
Interval = Annotated[int, BeforeValidator(duration_ns), Field(gt=0)]
"""A duration that is not 0."""


def once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the values; raises ValueError where one is named twice: its records would be, too."""
    if len(set(values)) < len(values):
        raise ValueError("one is named twice")
    return values


Once = AfterValidator(once)
"""Of a tuple: no value is in it twice."""


class Part(BaseModel):
    """A table of the settings file: frozen; unknown names, NaN and infinities are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Timed(Part):
    """A table of a system whose records have event times (contract 4 of docs/architecture.md)."""

    lateness: Duration = NS
    """How far behind the newest event time of its partition a record may be."""
    max_ahead: Duration = 5 * NS
    """How far ahead of its Kafka timestamp an event time may be."""
    max_skew: Duration = 600 * NS
    """How far ahead of the slowest partition a partition may run."""


def differing(table: Part, shards: int) -> dict[str, Any]:
    """Return what the settings on which outputs and state depend say beyond their defaults.

    A release that adds a setting with a default says nothing more, so snapshots of before load.
    Hence a default never changes once it is released: what it should be is a new setting.
    """
    # pydantic shows a field that has a serializer of its own even where it has its default.
    nothing = _said(type(table)())
    said = {name: value for name, value in _said(table).items() if value != nothing.get(name)}
    return {**said, "shards": shards}


def _said(table: Part) -> dict[str, Any]:
    return table.model_dump(mode="json", exclude_defaults=True, by_alias=True)


def settings_hash(table: Part, shards: int) -> str:
    """Return a hash of everything that outputs and state layout depend on."""
    content = orjson.dumps(differing(table, shards), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(content).hexdigest()[:16]
