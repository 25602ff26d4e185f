"""Where logics put their records, and how these are counted and sealed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from state.metrics import OUTPUTS
from state.outputs import Output, to_json
from state.records import OutputBatch
from state.retraction import retraction

if TYPE_CHECKING:
    from state.sealing import Seal


Emission = tuple[str, int, str, str, dict[str, Any]]
"""What `Outbox.emit` takes, but for the origin: (output, event time ns, id, table key, record)."""


class Outbox(Protocol):
    """Takes the output records of a logic, in the order in which they are made."""

    timestamp_ns: int
    """Set by the logic: the Kafka timestamp of what it works on, from which latency counts;
    0 where several partitions are behind it."""

    def emit(
        self,
        output: str,
        origin: str | int,
        time_ns: int,
        identity: str,
        key: str,
        record: dict[str, Any],
    ) -> bytes:
        """Add one record of ``output``; return its canonical JSON.

        ``origin`` is what is counted by: the input partition that caused the record, or the name
        of a merge. ``record`` holds plain values without NaN; ``identity`` is also its ``id``
        field; ``key`` is its table key, '' where the output is not keyed. Records of one output
        and origin come in an order that depends on the input alone, from one logic.
        """

    def retract(
        self, output: str, origin: str | int, time_ns: int, identity: str, key: str
    ) -> None:
        """Take a key out of an output's table: in Redis, tables, files and mirrors.

        Streams and topics carry the retraction as a record of its own, ``identity``.
        """


@dataclass(slots=True)
class _Open:
    """The records of one output and origin since the last `Outputs.take`."""

    times_ns: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)
    retracted: set[int] = field(default_factory=set)


class Outputs:
    """The Outbox of a step: collects records and counts them by (output, origin).

    A counter depends on the input alone, so after a crash the same record gets the same
    counter again, and a sink knows what it already has. The counters are part of the
    snapshot.
    """

    def __init__(self, declared: Iterable[Output] = (), seal: Seal | None = None) -> None:
        self.counters: dict[str, int] = {}
        self.timestamp_ns = 0
        self._declared = {output.name: output for output in declared}
        self._seal = seal
        self._open: dict[tuple[str, str], _Open] = {}

    def emit(
        self,
        output: str,
        origin: str | int,
        time_ns: int,
        identity: str,
        key: str,
        record: dict[str, Any],
    ) -> bytes:
        """Add one record (Outbox)."""
        line = to_json(record)
        self._add(output, str(origin), time_ns, identity, key, line)
        return line

    def retract(
        self, output: str, origin: str | int, time_ns: int, identity: str, key: str
    ) -> None:
        """Add one retraction (Outbox)."""
        declared = self._declared.get(output)
        record = retraction(declared or Output("", output, "ts_ns", ()), time_ns, identity, key)
        batch = self._add(output, str(origin), time_ns, identity, key, to_json(record))
        batch.retracted.add(len(batch.ids) - 1)

    def _add(
        self, output: str, origin: str, time_ns: int, identity: str, key: str, value: bytes
    ) -> _Open:
        batch = self._open.get((output, origin))
        if batch is None:
            batch = self._open[(output, origin)] = _Open()
        batch.times_ns.append(time_ns)
        batch.ids.append(identity)
        batch.keys.append(key)
        batch.values.append(value)
        return batch

    def take(self) -> list[OutputBatch]:
        """Return what was added since the last call, counted, and sealed where it is secret."""
        taken = [self._batch(*named) for named in self._open.items()]
        self._open.clear()
        return taken

    def _batch(self, place: tuple[str, str], rows: _Open) -> OutputBatch:
        output, origin = place
        name = f"{output}/{origin}"
        first = self.counters.get(name, 0) + 1
        self.counters[name] = first + len(rows.ids) - 1
        OUTPUTS.labels(output).inc(len(rows.ids))
        batch = OutputBatch(
            output,
            origin,
            first,
            rows.times_ns,
            rows.ids,
            rows.keys,
            rows.values,
            self.timestamp_ns,
            frozenset(rows.retracted),
        )
        declared = self._declared.get(output)
        if self._seal is None or declared is None or not declared.secret:
            return batch
        return self._seal.batch(declared, batch)
