"""The tables of history, derived from the outputs that they hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from state.outputs import Column, Kind, Output

COUNTER = "counter"
"""The column of the record's place among all of its output and origin; NULL in old rows."""


@dataclass(frozen=True, slots=True)
class Table:
    """The table of one output.

    Its first columns are ``generation`` (integer) and ``time`` (timestamptz, the
    microsecond of the ``clock`` column, ns); then come ``columns``, and COUNTER in the end. Rows
    are identified by (generation, time, id).
    """

    output: Output

    # Tables are the keys of every batch that is written.
    def __hash__(self) -> int:
        return hash(self.output)

    @property
    def name(self) -> str:
        """Return the name in the database."""
        return f"{self.output.system}_{self.output.name}"

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return what is stored of a record; of a secret output, its sealed envelope."""
        return self.output.stored

    @property
    def clock(self) -> str:
        """Return the column with the exact event time (ns)."""
        return self.output.time

    @property
    def unit(self) -> Literal["day", "month"]:
        """Return the length of a native partition."""
        return self.output.unit

    @property
    def kept(self) -> bool:
        """Return whether retention drops nothing."""
        return self.output.rows_kept

    @property
    def key(self) -> tuple[Column, ...]:
        """Return the columns of the table key; () where the last value by key is no table."""
        names = self.output.key
        if self.output.secret:
            names = ("key",) if names else ()
        by_name = {column.name: column for column in self.columns}
        return tuple(by_name[name] for name in names)

    @property
    def filters(self) -> tuple[str, ...]:
        """Return the columns by whose values readers may choose rows: those of text but the id."""
        if self.output.secret:
            return ()
        texts = (Kind.KEY, Kind.TEXT)
        return tuple(c.name for c in self.columns if c.kind in texts and c.name != "id")

    @property
    def first(self) -> str:
        """Return the column that most questions name, by which rows are indexed; '' for none."""
        if self.output.secret:
            return "key" if self.key else ""
        first = self.output.filters[0] if self.output.filters else ""
        by_name = {column.name: column for column in self.columns}
        return first if first and by_name[first].kind is Kind.KEY else ""


def tables_of(outputs: Iterable[Output]) -> dict[str, Table]:
    """Return the table of each output, by the output's topic."""
    return {output.topic: Table(output) for output in outputs}
