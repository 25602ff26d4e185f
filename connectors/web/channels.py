"""What can be subscribed to: every output of a system, by the fields of its records.

A channel is written ``market.bars?symbol=SPY,IBM&interval=1s``: records whose fields have any
of the values. Values are percent-encoded as in a URL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from urllib.parse import quote, unquote

from state.outputs import Output

_PLAIN = re.compile(r"[A-Za-z0-9_.~:-]*")
MAX_CHANNEL = 4096
"""Characters that a channel may have."""


class UnknownChannel(Exception):
    """There is no such channel; args: (reason,)."""


@dataclass(frozen=True, slots=True)
class Source:
    """One output as its readers see it.

    ``key`` names the fields of its table key, () where it has no table. ``fields`` may be filtered
    by; the first is the one that most filters name. Of a secret output, the key is one hash.
    ``parts`` are the fields whose text is ``part:name`` (`Column.parts`), and their parts;
    ``lists`` those that hold a list of texts. ``private``: it is of a secret output, in clear or
    not.
    """

    output: Output
    key: tuple[str, ...]
    fields: tuple[str, ...]
    parts: tuple[tuple[str, tuple[str, ...]], ...]
    lists: tuple[str, ...] = ()
    private: bool = False

    @classmethod
    def of(cls, output: Output) -> Source:
        """Return the source of a declared output."""
        if output.secret:
            key = ("key",) if output.key else ()
            return cls(output, key, ("key",), (), private=True)
        columns = (c for c in output.columns if c.name in output.filters)
        lists = tuple(c.name for c in columns if c.rules.get("type") == "array")
        parts = {c.name: c.parts for c in output.columns if c.parts and c.name in output.filters}
        fields = [name for each in output.filters for name in (each, *parts.get(each, ()))]
        shown = tuple(fields) or output.key or ("id",)
        return cls(output, output.key, shown, tuple(parts.items()), lists)

    def opened(self) -> Source:
        """Return a secret output as those see it who may unseal: in clear."""
        return replace(Source.of(replace(self.output, secret=False)), private=True)

    @property
    def name(self) -> str:
        """Return ``<system>.<output>``."""
        return self.output.topic

    @property
    def policy(self) -> str:
        """Return ``every`` or ``latest``."""
        return self.output.policy

    def values(self, record: Mapping[str, Any]) -> dict[str, Value]:
        """Return the fields that can be filtered by, as text; without those that are null.

        A list is there even where the record has none: then it admits nobody who is limited by it.
        """
        # For every record: a generator or a call for each field costs as much as the parser.
        found: dict[str, Value] = {name: tuple(record.get(name) or ()) for name in self.lists}
        for name in self.fields:
            value = record.get(name)
            if value is not None and name not in found:
                found[name] = value if type(value) is str else text(value)
        for name, parts in self.parts:
            if name in found:
                kind, _, value = str(found[name]).partition(":")
                if kind in parts:
                    found[kind] = value
        return found

    def table_key(self, record: Mapping[str, Any]) -> str:
        """Return what tells the rows of the table apart."""
        values = [record[name] for name in self.key]
        return "|".join([value if type(value) is str else text(value) for value in values])

    def key_values(self, key: str) -> dict[str, Value]:
        """Return what a table key tells of the fields that can be filtered by."""
        # The first field, such as a symbol, may hold what the fields are joined by.
        texts = key.rsplit("|", len(self.key) - 1)
        return self.values(dict(zip(self.key, texts, strict=False)))

    @property
    def key_fields(self) -> frozenset[str]:
        """Return the fields that follow from the table key."""
        parts = [part for name, found in self.parts if name in self.key for part in found]
        return frozenset([*self.key, *parts])

    def narrowed(self, filters: Filters) -> Filters:
        """Return filters by fields of records as filters by their own fields alone.

        >>> from state.market.outputs import MARKET
        >>> pnl = next(Source.of(output) for output in MARKET if output.name == "pnl")
        >>> pnl.narrowed({"portfolio": frozenset({"desk"})})
        {'scope': frozenset({'portfolio:desk'})}
        """
        found = dict(filters)
        for name, parts in self.parts:
            given = [part for part in parts if part in found]
            if given:
                whole = frozenset(f"{part}:{value}" for part in given for value in found.pop(part))
                found[name] = found[name] & whole if name in found else whole
        return found


Value = str | tuple[str, ...]
"""What a record is filtered by under one field: a text, or any of several."""
Values = Mapping[str, Value]
Sources = Mapping[str, Source]
"""``<system>.<output>`` -> what can be subscribed to of it."""
Filters = Mapping[str, frozenset[str]]


def sources_of(outputs: Iterable[Output]) -> dict[str, Source]:
    """Return the sources of declared outputs, by their names."""
    return {output.topic: Source.of(output) for output in outputs}


def text(value: object) -> str:
    """Return a field's value as a filter writes it: 0.99, 1s, true."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


@dataclass(frozen=True)
class Channel:
    """A source and what its records have to be like; ``str`` is the canonical spelling."""

    source: Source
    filters: tuple[tuple[str, frozenset[str]], ...]

    def __str__(self) -> str:
        return self.name

    @cached_property
    def name(self) -> str:
        """Return the canonical spelling."""
        words = [
            f"{name}={','.join(map(_quoted, sorted(values)))}" for name, values in self.filters
        ]
        return "?".join([self.source.name, *(["&".join(words)] if words else [])])

    @property
    def loggable(self) -> str:
        """Return its spelling for logs: of a secret output without values, which name patients."""
        if not self.source.private or not self.filters:
            return self.name
        return f"{self.source.name}?{'&'.join(name for name, _ in self.filters)}"

    @property
    def wide(self) -> bool:
        """Return whether it has to look at every record: it does not name the first field."""
        return self.source.fields[0] not in dict(self.filters)

    def takes(self, values: Values) -> bool:
        """Return whether a record with these fields (`Source.values`) is of the channel."""
        for name, wanted in self.filters:
            value = values.get(name, ())
            if value not in wanted and (type(value) is str or wanted.isdisjoint(value)):
                return False
        return True

    def keyed(self) -> Channel:
        """Return the channel with those filters alone that a key passes once and for all."""
        key = self.source.key_fields
        return Channel(self.source, tuple(pair for pair in self.filters if pair[0] in key))


def _quoted(value: str) -> str:
    # Most values are plain, and a filter may name a thousand.
    return value if _PLAIN.fullmatch(value) else quote(value, safe=":")


def parse(channel: str, sources: Sources) -> Channel:
    """Return the channel that a text names. Raises UnknownChannel, with what there is instead."""
    if len(channel) > MAX_CHANNEL:
        raise UnknownChannel(f"a channel has {MAX_CHANNEL} characters at the most")
    name, _, query = channel.partition("?")
    source = sources.get(name)
    if source is None:
        raise UnknownChannel(f"there is no such channel: choose {', '.join(sources)}")
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
