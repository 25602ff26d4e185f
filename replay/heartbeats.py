"""The heartbeat that ends every partition of an imported or simulated recording."""

from __future__ import annotations

import pyarrow as pa

from replay.message import Message
from replay.writer import RecordingWriter, rows_content
from state.clock import NS
from state.records import heartbeat_header

_DAY, _HOUR = 86_400 * NS, 3_600 * NS


def closing_ns(last_ns: int) -> int:
    """Return an hour after the first UTC midnight past ``last_ns``.

    Windows up to a day long are aligned to UTC, so the last of them ends by that
    midnight, and an hour more covers any sensible lateness.
    """
    return (last_ns // _DAY + 1) * _DAY + _HOUR


def heartbeat(topic: str, partition: int, offset: int, time_ns: int) -> Message:
    """Return a message that moves a partition's watermark to ``time_ns`` less the lateness."""
    header = heartbeat_header(time_ns)
    return Message(topic, partition, offset, time_ns, None, b"", [header])


def end_partitions(writer: RecordingWriter, topic: str, offsets: list[int], last_ns: int) -> None:
    """Write a heartbeat at the end of every partition, where ``offsets`` are the next ones."""
    for partition, offset in enumerate(offsets):
        message = heartbeat(topic, partition, offset, closing_ns(last_ns))
        batch: pa.RecordBatch = rows_content([message])
        writer.write(topic, partition, batch)
