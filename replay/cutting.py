"""Cut a span of time out of recordings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from replay.recording import Recording
from replay.sealed import Protection
from replay.writer import RecordingWriter, content


def cut(
    recording: Recording,
    from_ns: int,
    to_ns: int,
    out: Path,
    advance: Callable[[int], None] = lambda count: None,
    protection: Protection = None,
) -> int:
    """Write what lies in [from_ns, to_ns) to ``out`` and return how many messages that is.

    Each partition is cut where its timestamps first reach the bounds, so a cut is
    contiguous in offsets and neighbouring cuts fit together again, even where timestamps
    step back. ``advance`` is told the messages passed.
    """
    reader = recording.reader()
    with RecordingWriter(out, recording.partitions, protection) as writer:
        for (topic, partition), groups in sorted(recording.groups.items()):
            reached = np.iinfo(np.int64).min
            for group in groups:
                if reached < to_ns:
                    table = reader.table(group)
                    times = _reached(reached, table.column("timestamp_ns").to_numpy())
                    first, last = np.searchsorted(times, [from_ns, to_ns]).tolist()
                    reached = int(times[-1])
                    part = table.slice(first, last - first).combine_chunks()
                    if part.num_rows:
                        columns = [column.combine_chunks() for column in part.columns]
                        writer.write(topic, partition, content(*columns))
                advance(group.rows)
        return writer.count


def _reached(before: int, timestamp_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.maximum(np.maximum.accumulate(timestamp_ns), before)
