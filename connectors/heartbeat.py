"""Heartbeats: messages with an empty value whose header tells the time."""

from __future__ import annotations

from state.clock import MAX_HEARTBEAT_NS
from state.errors import FromTheFuture, Malformed, NoKey, OutOfRange
from state.records import HEARTBEAT_HEADER, Messages


def heartbeat_ns(messages: Messages, row: int, latest_ns: int) -> int:
    """Return the time that the empty message in ``row`` tells, ns.

    Raises NoKey, Malformed, OutOfRange, and FromTheFuture where it exceeds ``latest_ns``.
    """
    value = dict(messages.headers.get(row, ())).get(HEARTBEAT_HEADER)
    if value is None and not messages.keyed[row]:
        raise NoKey("the message has neither key nor value")
    if value is None:
        raise Malformed("the message is empty")
    if len(value) != 8:
        raise Malformed(f"{HEARTBEAT_HEADER} has {len(value)} bytes, not 8")
    ts_ns = int.from_bytes(value, "big", signed=True)
    if not 0 < ts_ns <= MAX_HEARTBEAT_NS:
        raise OutOfRange(f"{HEARTBEAT_HEADER} is below 1 or above {MAX_HEARTBEAT_NS}")
    if ts_ns > latest_ns:
        raise FromTheFuture(f"{HEARTBEAT_HEADER} is too far ahead of the Kafka timestamp")
    return ts_ns
