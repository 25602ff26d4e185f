"""What can be subscribed to: every output of a system, by the fields of its records.

A channel is written ``market.bars?symbol=SPY,IBM&interval=1s``: records whose fields have any
of the values. Values are percent-encoded as in a URL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from state.outputs import OUTPUTS, Output

EVERY = "every"
"""Each record reaches the client, or the client is disconnected."""
LATEST = "latest"
"""A client that is slow gets the last record of each key."""
MAX_CHANNEL = 4096
"""Characters that a channel may have."""
SCOPES = ("portfolio", "symbol")
"""Fields made from ``scope``: ``portfolio:X`` is of the portfolio X."""


class UnknownChannel(Exception):
    """There is no such channel; args: (reason,)."""


@dataclass(frozen=True, slots=True)
class Source:
    """One output: ``key`` names the fields of its table key, () where it has no table.

    ``fields`` may be filtered by; the first is the one that most filters name.
    """

    output: Output
    key: tuple[str, ...]
    fields: tuple[str, ...]
    policy: str

    @property
    def name(self) -> str:
        """Return ``<system>.<output>``."""
        return self.output.topic

    def values(self, record: Mapping[str, Any]) -> dict[str, str]:
        """Return the fields that can be filtered by, as text; without those that are null."""
        # For every record: a generator or a call for each field costs as much as the parser.
        found = {}
        for name in self.fields:
            value = record.get(name)
            if value is not None:
                found[name] = value if type(value) is str else text(value)
        if "scope" in found:
            kind, _, name = found["scope"].partition(":")
            if kind in SCOPES:
                found[kind] = name
        return found

    def table_key(self, record: Mapping[str, Any]) -> str:
        """Return what tells the rows of the table apart."""
        values = [record[name] for name in self.key]
        return "|".join([value if type(value) is str else text(value) for value in values])


def text(value: object) -> str:
    """Return a field's value as a filter writes it: 0.99, 1s, true."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


_SCOPED = ("scope", *SCOPES)
_SHAPES: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "market.bars": (("symbol", "interval"), ("symbol", "interval"), EVERY),
    "market.nbbo": (("symbol",), ("symbol",), LATEST),
    "market.risk": (
        ("scope", "method", "interval", "confidence", "horizon"),
        (*_SCOPED, "method", "interval", "confidence", "horizon", "valid"),
        LATEST,
    ),
    "market.signals": ((), (*_SCOPED, "kind", "method"), EVERY),
    "market.features": (("symbol", "kind"), ("symbol", "kind"), LATEST),
    "market.bands": (("symbol",), ("symbol", "state"), LATEST),
    "market.pnl": (("scope",), _SCOPED, LATEST),
    "market.backtest": (
        ("scope", "method", "confidence"),
        (*_SCOPED, "method", "confidence", "zone"),
        LATEST,
    ),
    "market.stress": (("scope", "scenario"), (*_SCOPED, "scenario"), LATEST),
    "market.weights": (("scope",), (*_SCOPED, "objective"), LATEST),
    "market.requests": ((), (*_SCOPED, "model"), EVERY),
    "market.audit": ((), ("chain",), EVERY),
    "market.gaps": ((), ("symbol", "venue", "type"), EVERY),
    "market.late": ((), ("symbol", "type", "reason"), EVERY),
    "trading.decisions": ((), ("account", "kind", "decision", "reason", "state"), EVERY),
    "trading.state": (("account",), ("account", "state", "event", "cause"), LATEST),
    "trading.audit": ((), ("chain",), EVERY),
}
"""Output -> (fields of the table key, fields to filter by, policy)."""

SOURCES: dict[str, Source] = {
    output.topic: Source(output, *_SHAPES[output.topic])
    for outputs in OUTPUTS.values()
    for output in outputs
}
"""``<system>.<output>`` -> what can be subscribed to of it."""

Filters = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Channel:
    """A source and what its records have to be like; ``str`` is the canonical spelling."""

    source: Source
    filters: tuple[tuple[str, frozenset[str]], ...]

    def __str__(self) -> str:
        words = [
            f"{name}={','.join(quote(value, safe=':') for value in sorted(values))}"
            for name, values in self.filters
        ]
        return "?".join([self.source.name, *(["&".join(words)] if words else [])])

    @property
    def wide(self) -> bool:
        """Return whether it has to look at every record: it does not name the first field."""
        return self.source.fields[0] not in dict(self.filters)

    def takes(self, values: Mapping[str, str]) -> bool:
        """Return whether a record with these fields (`Source.values`) is of the channel."""
        for name, wanted in self.filters:  # noqa: SIM110  # all() makes a generator a record
            if values.get(name) not in wanted:
                return False
        return True

    def keyed(self) -> Channel:
        """Return the channel with those filters alone that a key passes once and for all."""
        key = {*self.source.key, *(SCOPES if "scope" in self.source.key else ())}
        return Channel(self.source, tuple(pair for pair in self.filters if pair[0] in key))


def parse(channel: str) -> Channel:
    """Return the channel that a text names. Raises UnknownChannel, with what there is instead."""
    if len(channel) > MAX_CHANNEL:
        raise UnknownChannel(f"a channel has {MAX_CHANNEL} characters at the most")
    name, _, query = channel.partition("?")
    source = SOURCES.get(name)
    if source is None:
        raise UnknownChannel(f"there is no such channel: choose {', '.join(SOURCES)}")
    filters: dict[str, frozenset[str]] = {}
    for pair in query.split("&") if query else []:
        field, equals, values = pair.partition("=")
        if field not in source.fields or not equals or not values or field in filters:
            raise UnknownChannel(
                f"{name} is filtered by {', '.join(source.fields)}, each once: "
                f"{source.fields[0]}=A,B"
            )
        filters[field] = frozenset(unquote(value) for value in values.split(","))
    return Channel(source, tuple(sorted(filters.items())))


def allowed(rows: Filters, values: Mapping[str, str]) -> bool:
    """Return whether row filters let a record with these fields pass.

    Each field that has a filter and that the record has must be allowed, and there must be one.
    """
    if not rows:
        return True
    shared = [name for name in rows if name in values]
    return bool(shared) and all(values[name] in rows[name] for name in shared)
