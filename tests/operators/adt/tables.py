"""The tables of messages: what the timeline emits, put under its keys, retractions applied."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, tzinfo
from typing import Any

import orjson

from connectors.adt.messages import Parsed, parse
from operators.adt.timeline import Timeline
from operators.logic import Logic
from operators.outputs import Outputs
from state.adt.facts import Fact, Told
from state.adt.outputs import OUTPUTS
from state.outputs import Output
from state.records import Coordinates, OutputBatch
from state.rows import RowBlock

WEEK_NS = 7 * 86_400 * 10**9
Rows = list[dict[str, Any]]


def told(
    raws: Iterable[bytes], first: int = 0, zone: tzinfo = UTC, read: Callable[..., Parsed] = parse
) -> list[RowBlock[Told]]:
    """Return a block for each message that says something."""
    found = []
    for offset, raw in enumerate(raws, first):
        said = read(raw, zone)
        if said.statements:
            row = Told(Coordinates("adt.raw", 0, offset), *said)
            found.append(RowBlock("adt.raw", 1, [row]))
    return found


class Tables:
    """The last record of each key.

    Of messages of more than a week there is no census: in which order they come counts for it.
    """

    def __init__(self) -> None:
        self._held: dict[str, dict[str, dict[str, Any]]] = {each.name: {} for each in OUTPUTS}
        self.times_ns: set[int] = set()
        """When the messages were recorded."""

    def take(self, batches: Iterable[OutputBatch]) -> None:
        """Follow what was emitted; what is emitted for nothing, and retracted twice, fails."""
        for batch in batches:
            table = self._held[batch.output]
            for row, key in enumerate(batch.keys):
                record = orjson.loads(batch.values[row])
                if row in batch.retracted:
                    assert key in table, f"{key} is retracted, and was not there"
                    del table[key]
                else:
                    known = table.get(key)
                    assert known is None or _seen(batch.output, known) != _seen(
                        batch.output, record
                    ), f"{key} is emitted again, and has not changed"
                    table[key] = record

    def rows(self) -> dict[str, Rows]:
        """Return the lines of each table, without what passes, in an order of their content."""
        found: dict[str, Rows] = {}
        for output in OUTPUTS:
            lines = []
            for record in self._held[output.name].values():
                kept = _kept(output.name, record)
                rows = kept.pop(output.rows) if output.rows else [{}]
                lines += [kept | row for row in rows]
            found[output.name] = sorted(lines, key=orjson.dumps)
        if max(self.times_ns, default=0) - min(self.times_ns, default=0) > WEEK_NS:
            found["census"] = []
        return found


def facts(raw: bytes) -> list[Fact]:
    """Return what a message says of visits."""
    return [each for each in parse(raw).statements if isinstance(each, Fact)]


def tables(
    raws: Sequence[bytes],
    zone: tzinfo = UTC,
    read: Callable[..., Parsed] = parse,
    make: Callable[[int], Logic] = Timeline,
) -> dict[str, Rows]:
    """Return the tables of messages that come in this order."""
    outputs, logic, found = Outputs(OUTPUTS), make(8), Tables()
    for block in told(raws, 0, zone, read):
        list(logic.process(block, outputs))
        found.times_ns.update(row.recorded_ns for row in block.rows)
        found.take(outputs.take())
    return found.rows()


def _seen(output: str, record: dict[str, Any]) -> tuple[Any, ...]:
    """Return what a reader sees of a record, and which readers do."""
    return _kept(output, record), record.get("wards")


def _kept(output: str, record: dict[str, Any]) -> dict[str, Any]:
    [declared] = [each for each in OUTPUTS if each.name == output]
    passing = _passing(declared)
    return {name: value for name, value in record.items() if name not in passing}


def _passing(output: Output) -> set[str]:
    return {column.name for column in output.columns if column.passing}
