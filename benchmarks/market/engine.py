"""The real market flow as a measured process, until it has consumed a number of messages.

Everything is as in `flows.engine.worker`: settings from the environment, the same first start,
source, sinks, recovery and epochs. The clock runs around Bytewax's ``run_main``, so it
includes opening the consumers, the last flush and the last snapshot.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from bytewax._bytewax import run_main
from bytewax.inputs import FixedPartitionedSource
from bytewax.recovery import RecoveryConfig
from prometheus_client import REGISTRY

from benchmarks import child
from benchmarks.machine import pin, settle
from benchmarks.market.trace import Trace
from benchmarks.rig import PATIENCE_S
from connectors.kafka.plan import BlockT
from flows import config
from flows.engine.context import Context
from flows.engine.flows import find_flow
from flows.engine.generation import Generation
from flows.engine.live import connect
from flows.engine.preparing import prepare
from state.lifecycle import Lifecycle
from state.records import Messages


class Counted:
    """Decodes for a source, and drains the flow once ``expected`` messages have come."""

    def __init__(self, expected: int, lifecycle: Lifecycle) -> None:
        self.messages = self.records = self.blocks = 0
        self._expected = expected
        self._lifecycle = lifecycle

    def source(self, context: Context) -> Context:
        """Return the context with a source that counts."""

        def make(
            topic: str, decode: Callable[[Messages], BlockT]
        ) -> FixedPartitionedSource[tuple[str, BlockT], Any]:
            def counted(messages: Messages) -> BlockT:
                block = decode(messages)
                self.messages += len(messages)
                self.records += len(block)
                self.blocks += 1
                if self.messages >= self._expected:
                    self._lifecycle.stopping.set()
                return block

            return context.source(topic, counted)

        return replace(context, source=make)


def main(job: dict[str, Any]) -> None:
    """Run the flow; say ``ready`` when its source is open, and at the end what it took."""
    pin(job["core"])
    stop = child.stopped()
    settings = config.load_settings(None)
    flow = find_flow("market")
    generation = Generation(settings.run.state_dir.resolve() / "market", settings.run.generation)
    lifecycle = Lifecycle()
    lifecycle.drain_s = PATIENCE_S
    counted = Counted(job["messages"], lifecycle)
    with generation.locked():
        prepare(flow, generation, "", settings)
        start = generation.load()
        assert start is not None
        context = counted.source(connect(flow, start, settings, lifecycle))
        flow.warm_up()
        trace = Trace() if job.get("trace") else None
        dataflow = flow.build(context)
        threading.Thread(target=_ready, args=(lifecycle,), daemon=True).start()
        threading.Thread(target=_stop, args=(stop, lifecycle), daemon=True).start()
        settle()
        wall, cpu, thread = time.perf_counter(), time.process_time(), time.thread_time()
        run_main(  # type: ignore[no-untyped-call]  # Bytewax has no types here
            dataflow,
            epoch_interval=timedelta(microseconds=settings.run.epoch // 1000),
            recovery_config=RecoveryConfig(generation.recovery),  # type: ignore[no-untyped-call]  # nor here
        )
        result = {
            "wall": time.perf_counter() - wall,
            "cpu": time.process_time() - cpu,
            "thread_cpu": time.thread_time() - thread,
        }
    if trace is not None:
        trace.save(job["trace"])
    outputs = {
        sample.labels["output"]: sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == "headrace_outputs_total"
    }
    child.say(
        {
            **result,
            "messages": counted.messages,
            "records": counted.records,
            "blocks": counted.blocks,
            "outputs": outputs,
            "snapshots": _snapshots(),
        }
    )


def _snapshots() -> dict[str, float]:
    """Return how many snapshots of shards there were, and their mean size."""
    value = REGISTRY.get_sample_value
    count = value("headrace_snapshot_bytes_count", {"step": "shard"}) or 0
    total = value("headrace_snapshot_bytes_sum", {"step": "shard"}) or 0
    return {"count": count, "mean_bytes": total / max(1, count)}


def _ready(lifecycle: Lifecycle) -> None:
    lifecycle.opened.wait()
    child.say({"ready": os.getpid()})


def _stop(stop: threading.Event, lifecycle: Lifecycle) -> None:
    stop.wait()
    lifecycle.stopping.set()


if __name__ == "__main__":
    child.start(main)
    os._exit(0)  # threads of clients may wait for servers that are gone
