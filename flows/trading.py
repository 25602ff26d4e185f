"""The trading system: orders and control events in; decisions, states and audit entries out.

::

    orders, control, bands, nbbo, risk, pnl ─┬─ sequence ──▶ market.sequenced (one partition)
                            the clock, 1/s ──┘                     │
                                       ┌───────────────────────────┘
                                    decide (one key) ─┬─ redis
                                       │              └─ topics
                                       └─ dead letters ── dead

The first step only brings what comes into one order. The second reads that order alone, so a
replay of market.sequenced makes the same decisions, byte for byte.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic

from connectors.kafka.sequenced import SequencedDecoder
from flows.inputs import Source, add_inputs
from flows.settings import SEQUENCED, Settings, trading_hash
from flows.shard import Outputs
from operators.audit import AuditChain, record_hash
from operators.market.controls.controls import Controls
from operators.market.controls.entries import Emitted, Entry
from operators.market.controls.records import where
from operators.repetitions import Repetitions
from state.errors import BadRecord, Misuse
from state.metrics import DUPLICATES, RECORDS, SNAPSHOT_BYTES
from state.outputs import MARKET, TRADING, to_json
from state.records import DeadLetter, OutputBatch
from state.rows import Rows
from state.sequenced import Sequenced
from state.snapshots import pack, unpack

if TYPE_CHECKING:
    from flows.runner import Context

SYSTEM = "trading"
ORIGIN = "0"
"""The origin of all outputs: the one partition of the sequenced topic."""
KEYED = frozenset(output.name for output in TRADING if output.keyed)
CONTROL, RISK = "market.control", "market.risk"

Item = OutputBatch | DeadLetter


class Decider:
    """The controls behind a sequence that may repeat itself; each of their records is audited.

    Their clock never goes back: a message's time is the largest Kafka timestamp so far.
    """

    def __init__(self, controls: Controls, settings_hash: str) -> None:
        self.dead: list[DeadLetter] = []
        self.outputs = Outputs()
        self._controls = controls
        self._hash = settings_hash
        self._repetitions = Repetitions()
        self._chain = AuditChain(SYSTEM)
        self._now_ns = 0

    def take(self, row: Sequenced) -> None:
        """Take one sequenced message; its records are in ``outputs``."""
        if not self._repetitions.is_new(row):
            DUPLICATES.labels(row.source.topic).inc()
            return
        RECORDS.labels(row.source.topic).inc()
        self._now_ns = self.outputs.timestamp_ns = max(row.ts_ns, self._now_ns)
        entry = Entry(row.coordinates, row.source, self._now_ns, row.source.topic, row.body)
        try:
            emitted = self._controls.apply(entry)
        except BadRecord as error:
            self.dead.append(row.dead(error))
            return
        for each in emitted:
            key = each.key if each.output in KEYED else ""
            self.outputs.add(each.output, ORIGIN, entry.ts_ns, each.record["id"], key, each.record)
            self._audit(entry, of_record(entry, each))
        if entry.topic == CONTROL and not emitted:
            self._audit(entry, of_event(entry, row.value))

    def _audit(self, entry: Entry, what: dict[str, Any]) -> None:
        what |= {
            "source": where(entry.source),
            "sequenced": where(entry.coordinates),
            "settings": self._hash,
        }
        made = self._chain.append(entry.ts_ns, what)
        self.outputs.add("audit", ORIGIN, made["ts_ns"], made["id"], "", made)

    def snapshot(self) -> dict[str, Any]:
        """Return the whole state as plain values."""
        return {
            "controls": self._controls.snapshot(),
            "repetitions": self._repetitions.snapshot(),
            "chain": self._chain.snapshot(),
            "now_ns": self._now_ns,
            "counters": dict(self.outputs.counters),
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._controls.restore(parts["controls"])
        self._repetitions.restore(parts["repetitions"])
        self._chain.restore(parts["chain"])
        self._now_ns = parts["now_ns"]
        self.outputs = Outputs(parts["counters"])


def of_record(entry: Entry, emitted: Emitted) -> dict[str, Any]:
    """Return who and what an audit entry names for a record that was emitted.

    Who is whoever the message names as ``by``, else the account that it is about. ``model`` is the
    risk record that moved a breaker.
    """
    record = emitted.record
    return {
        "who": _who(entry, record["account"]),
        "what": record["decision"] if emitted.output == "decisions" else record["event"],
        "output": emitted.output,
        "record": record["id"],
        "sha256": record_hash(to_json(record)),
        "model": _text(entry.body.get("id")) if entry.topic == RISK else None,
    }


def of_event(entry: Entry, value: bytes) -> dict[str, Any]:
    """Return the same for a control event of which no record came, such as new limits.

    ``sha256`` is that of the event's own bytes.
    """
    return {
        "who": _who(entry, entry.body.get("account")),
        "what": entry.body["type"],
        "output": None,
        "record": None,
        "sha256": record_hash(value),
        "model": None,
    }


def _who(entry: Entry, account: object) -> str | None:
    return _text(entry.body.get("by")) or _text(account)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


class DecideLogic(StatefulBatchLogic[Rows[Sequenced], Item, bytes]):
    """A Decider as a Bytewax step; its snapshot is one pickle of plain values."""

    def __init__(self, decider: Decider, settings_hash: str, resume: bytes | None) -> None:
        self._decider = decider
        self._hash = settings_hash
        if resume is not None:
            parts = pickle.loads(resume)  # noqa: S301  # our own recovery store
            decider.restore(unpack(parts, settings_hash))

    def on_batch(self, values: list[Rows[Sequenced]]) -> tuple[list[Item], bool]:
        """Decide what has come, in order."""
        decider = self._decider
        for block in values:
            for row in block.rows:
                decider.take(row)
        dead, decider.dead = decider.dead, []
        return [*decider.outputs.take(), *dead], StatefulBatchLogic.RETAIN

    def snapshot(self) -> bytes:
        """Return the state, versioned."""
        data = pickle.dumps(pack(self._hash, self._decider.snapshot()), protocol=5)
        SNAPSHOT_BYTES.labels("decide").observe(len(data))
        return data


def build(context: Context) -> Dataflow:
    """Return the dataflow of the trading system; over a recording, of its second step.

    Raises Misuse where a recording does not hold the sequenced topic.
    """
    if not context.has(SEQUENCED):
        raise Misuse(
            f"the recording does not hold {SEQUENCED}, the order in which the live flow decided: "
            f"record that topic (headrace record {SEQUENCED} --out FILE)"
        )
    trading = context.settings.trading
    fingerprint = trading_hash(trading)

    def decide_logic(resume: bytes | None) -> DecideLogic:
        return DecideLogic(Decider(Controls(trading.controls()), fingerprint), fingerprint, resume)

    flow = Dataflow(SYSTEM)
    sources: dict[str, Source] = {"sequenced": context.source(SEQUENCED, SequencedDecoder().decode)}
    if context.sequencer is not None:
        sources["unordered"], sink = context.sequencer(trading.topics, SEQUENCED)
    streams = add_inputs(flow, sources)
    if context.sequencer is not None:
        op.output("sequence", streams["unordered"], sink)
    blocks = streams["sequenced"]
    decided = op.stateful_batch("decide", blocks, decide_logic)
    outputs = op.flat_map("outputs", decided, _batches)
    op.output("redis", outputs, context.sinks.redis)
    op.output("topics", outputs, context.sinks.outputs)
    refused = op.flat_map("refused", decided, _letters)
    dead = op.merge("dead_letters", op.flat_map("undecoded", blocks, _undecoded), refused)
    op.output("dead", dead, context.sinks.dead)
    return flow


def inputs(settings: Settings) -> list[str]:
    """Return the topics that are made, of one partition and kept for good, where missing.

    Those of the market system are not: it makes them itself, with as many partitions as it has.
    """
    others = {output.topic for output in MARKET}
    own = [topic for topic in settings.trading.topics if topic not in others]
    return [*own, SEQUENCED, *(output.topic for output in TRADING)]


def _batches(item: tuple[str, Item]) -> list[tuple[str, OutputBatch]]:
    name, result = item
    return [(name, result)] if isinstance(result, OutputBatch) else []


def _letters(item: tuple[str, Item]) -> list[tuple[str, DeadLetter]]:
    name, result = item
    return [(name, result)] if isinstance(result, DeadLetter) else []


def _undecoded(item: tuple[str, Rows[Sequenced]]) -> list[tuple[str, DeadLetter]]:
    name, block = item
    return [(name, letter) for letter in block.dead]
