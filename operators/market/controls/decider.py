"""The controls behind a sequence that may repeat itself; what they decide is audited."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from operators.audit import AuditChain, record_hash
from operators.logic import Logic
from operators.market.controls.controls import Controls
from operators.market.controls.entries import Emitted, Entry
from operators.market.controls.reasons import Reason
from operators.market.controls.records import where
from operators.market.controls.states import Event, State
from operators.outputs import Outbox
from operators.repetitions import Repetitions
from state.errors import BadRecord
from state.market.trading_outputs import AUDITED
from state.metrics import (
    DUPLICATES,
    RECORDS,
    TRADING_ACCOUNTS,
    TRADING_CHANGES,
    TRADING_DECISIONS,
)
from state.records import DeadLetter
from state.rows import RowBlock
from state.sequenced import Sequenced

ORIGIN = "0"
"""The origin of all outputs: the one partition of the sequenced topic."""
CHAIN = "trading"
"""The name of the audit chain."""
CONTROL, RISK = "market.control", "market.risk"


class Decider(Logic):
    """Decides sequenced messages in order.

    Its clock never goes back: a message's time is the largest Kafka timestamp so far.
    """

    def __init__(self, controls: Controls, settings_hash: str, keyed: frozenset[str]) -> None:
        """``settings_hash`` goes into each audit entry; ``keyed`` are the outputs with a table."""
        self._controls = controls
        self._hash = settings_hash
        self._keyed = keyed
        self._repetitions = Repetitions()
        self._chain = AuditChain(CHAIN)
        self._now_ns = 0
        _begin_counting()

    def process(self, item: RowBlock[Sequenced], outbox: Outbox) -> Iterable[DeadLetter]:
        """Decide a block; return what could not be used."""
        letters = (self._take(row, outbox) for row in item.rows)
        return [letter for letter in letters if letter is not None]

    def describe(self, key: str) -> dict[str, Any]:
        """Return what is known of an account."""
        return self._controls.describe(key)

    def snapshot(self) -> dict[str, Any]:
        """Return the whole state as plain values."""
        return {
            "controls": self._controls.snapshot(),
            "repetitions": self._repetitions.snapshot(),
            "chain": self._chain.snapshot(),
            "now_ns": self._now_ns,
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._controls.restore(parts["controls"])
        self._repetitions.restore(parts["repetitions"])
        self._chain.restore(parts["chain"])
        self._now_ns = parts["now_ns"]

    def _take(self, row: Sequenced, outbox: Outbox) -> DeadLetter | None:
        if not self._repetitions.is_new(row):
            DUPLICATES.labels(row.source.topic).inc()
            return None
        RECORDS.labels(row.source.topic).inc()
        self._now_ns = outbox.timestamp_ns = max(row.ts_ns, self._now_ns)
        at, source = row.coordinates, row.source
        entry = Entry(at, source, self._now_ns, source.topic, row.body, row.generation)
        try:
            emitted = self._controls.apply(entry)
        except BadRecord as error:
            return row.dead(error)
        _count(emitted)
        for each in emitted:
            key = each.key if each.output in self._keyed else ""
            line = outbox.emit(
                each.output, ORIGIN, entry.ts_ns, each.record["id"], key, each.record
            )
            if each.output in AUDITED:
                self._audit(entry, of_record(entry, each, line), outbox)
        if entry.topic == CONTROL and not emitted:
            self._audit(entry, of_event(entry, row.value), outbox)
        return None

    def _audit(self, entry: Entry, what: dict[str, Any], outbox: Outbox) -> None:
        what |= {
            "source": where(entry.source),
            "sequenced": where(entry.coordinates),
            "settings": self._hash,
        }
        made = self._chain.append(entry.ts_ns, what)
        outbox.emit("audit", ORIGIN, made["ts_ns"], made["id"], "", made)


def _begin_counting() -> None:
    """Begin each series at 0: an alert sees no increment in a series that begins with it."""
    for reason in Reason:
        for decision in ("accept", "reject"):
            TRADING_DECISIONS.labels(decision, reason.name)
    for event in Event:
        TRADING_CHANGES.labels(event.value)


def _count(emitted: list[Emitted]) -> None:
    beats = [each.record for each in emitted if each.record.get("event") == "heartbeat"]
    for state in State if beats else ():
        held = sum(record["state"] == state.name for record in beats)
        TRADING_ACCOUNTS.labels(state.name).set(held)
    for each in emitted:
        record = each.record
        if each.output == "decisions":
            TRADING_DECISIONS.labels(record["decision"], record["reason"]).inc()
        elif each.output == "state" and record["event"] != "heartbeat":
            TRADING_CHANGES.labels(record["event"]).inc()


def of_record(entry: Entry, emitted: Emitted, line: bytes) -> dict[str, Any]:
    """Return who and what an audit entry names for a record that was emitted.

    ``line`` is the record's canonical JSON. Who is whoever the message names as ``by``, else the
    account that it is about. ``model`` is the risk record that moved a breaker.
    """
    record = emitted.record
    return {
        "who": _who(entry, record["account"]),
        "what": record["decision"] if emitted.output == "decisions" else record["event"],
        "output": emitted.output,
        "record": record["id"],
        "sha256": record_hash(line),
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
