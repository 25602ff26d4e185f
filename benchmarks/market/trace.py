"""When each block of the engine passed each stage: stamps set around the engine's methods.

Only the process that is measured for latency carries them (some ten clock readings a
block, about 1 µs); nothing that the flow does depends on them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.market.stored import store
from connectors.kafka.columns import Columns
from connectors.kafka.delivery import Delivery
from connectors.market.decode import TickDecoder
from connectors.redis.sink import RedisPartition
from flows.engine.step import Running
from operators.market.shard import TickShard
from operators.outputs import Outbox
from state.market.ticks import TickBlock
from state.records import Messages, OutputBatch

now = time.time_ns


class Trace:
    """Stamps (ns, system clock) of every block, redis write and snapshot of the process."""

    def __init__(self) -> None:
        self.blocks: list[tuple[int, ...]] = []
        """(partition, first offset, next offset, consumed, decoded, started, worked)."""
        self.writes: list[tuple[int, int, int, int]] = []
        """(origin, first counter, last counter, write began) of the signals."""
        self.snapshots: list[tuple[int, int]] = []
        """(began, ended) of each part's snapshot."""
        self._open: dict[int, tuple[int, int]] = {}
        self._consumed = 0
        self._wrap_source()
        self._wrap_shard()
        self._wrap_sink()
        self._wrap_flush()

    def save(self, path: str) -> None:
        """Write all stamps to an .npz file."""
        columns = {
            "blocks": np.array(self.blocks, np.int64).reshape(-1, 7),
            "writes": np.array(self.writes, np.int64).reshape(-1, 4),
            "snapshots": np.array(self.snapshots, np.int64).reshape(-1, 2),
        }
        store(path, columns)

    def _wrap_source(self) -> None:
        take = Columns._take  # noqa: SLF001  # a message is consumed when it leaves librdkafka
        decode = TickDecoder.decode

        def stamped_take(reader: Columns, at_most: int) -> int:
            count = take(reader, at_most)
            self._consumed = now()
            return count

        def stamped_decode(decoder: TickDecoder, messages: Messages) -> TickBlock:
            block = decode(decoder, messages)
            self._open[id(block)] = (self._consumed, now())
            return block

        Columns._take = stamped_take  # type: ignore[method-assign,assignment]  # noqa: SLF001  # on purpose
        TickDecoder.decode = stamped_decode  # type: ignore[method-assign,assignment]  # as above

    def _wrap_shard(self) -> None:
        process = TickShard.process

        def stamped(shard: TickShard, block: TickBlock, outbox: Outbox) -> Any:
            started = now()
            result = process(shard, block, outbox)
            worked = now()
            consumed, decoded = self._open.pop(id(block))
            for partition, (first, following) in block.ranges.items():
                self.blocks.append(
                    (partition, first, following, consumed, decoded, started, worked)
                )
            return result

        TickShard.process = stamped  # type: ignore[method-assign,assignment]  # as above
        self._wrap_snapshot(Running)

    def _wrap_sink(self) -> None:
        write = RedisPartition.write_batch

        def stamped(partition: RedisPartition, values: list[OutputBatch]) -> None:
            began = now()
            for batch in values:
                if batch.output == "signals":
                    last = batch.first + len(batch) - 1
                    self.writes.append((int(batch.origin), batch.first, last, began))
            write(partition, values)

        RedisPartition.write_batch = stamped  # type: ignore[method-assign,assignment]  # as above
        self._wrap_snapshot(RedisPartition)

    def _wrap_flush(self) -> None:
        flush = Delivery.flush

        def stamped(delivery: Delivery) -> None:
            self._spanned(lambda: flush(delivery))

        Delivery.flush = stamped  # type: ignore[method-assign,assignment]  # as above

    def _wrap_snapshot(self, kind: Any) -> None:
        snapshot = kind.snapshot
        kind.snapshot = lambda part: self._spanned(lambda: snapshot(part))

    def _spanned(self, call: Callable[[], Any]) -> Any:
        began = now()
        result = call()
        self.snapshots.append((began, now()))
        return result
