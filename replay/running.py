"""Run a flow over recordings, in this process, without any server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bytewax._bytewax import cluster_main
from bytewax.errors import BytewaxRuntimeError
from bytewax.inputs import FixedPartitionedSource
from bytewax.outputs import DynamicSink, StatelessSinkPartition

from connectors.kafka.plan import BlockT
from connectors.pacing import Pacing
from flows.engine.context import Context, Flow, Sinks
from flows.engine.opening import opening
from flows.engine.sealed import seal_of
from flows.settings.settings import Settings
from replay.files import FileSink, OutputFiles
from replay.interleave import Speed
from replay.recording import Recording
from replay.source import Pace, RecordingSource
from state.clock import now_ns
from state.errors import HeadraceError
from state.lifecycle import Lifecycle
from state.records import Messages
from state.shards import shard_names

_EPOCH = timedelta(seconds=10)
"""Nothing is kept for a restart, so an epoch here is only a pause."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How to replay; nothing here changes what comes out. ``speed`` None is flat out.

    ``plaintext`` leaves secret outputs as they are.
    """

    workers: int = 1
    batch: int = 4096
    speed: float | None = None
    plaintext: bool = False


def replay(
    flow: Flow,
    recording: Recording,
    settings: Settings,
    files: OutputFiles,
    manner: Manner,
    advance: Callable[[int], None] = lambda count: None,
) -> None:
    """Run ``flow`` over all of ``recording``, in ``manner.workers`` threads, into ``files``.

    Raises what the flow raises, such as Misuse where a topic that it reads is not recorded.
    """

    def source(
        topic: str, decode: Callable[[Messages], BlockT]
    ) -> FixedPartitionedSource[tuple[str, BlockT], Any]:
        recording.only_topic(topic)
        pacing = Pacing(recording.partitions[topic], flow.table(settings).max_skew)
        pace = Pace(manner.batch, pacing, speed, advance)
        return RecordingSource(recording, topic, settings.kafka.shards, decode, pace)

    speed = None
    if manner.speed is not None:
        speed = Speed(manner.speed, recording.first_ns, now_ns(), now_ns)
    context = Context(
        flow=flow,
        generation=1,
        lineage="replay",
        settings=settings,
        lifecycle=Lifecycle(),
        local=tuple(shard_names(settings.kafka.shards)),
        source=opening(source, flow, settings),
        # What Redis and the topics hold is the same records: one copy is enough.
        has=recording.partitions.__contains__,
        ends=True,
        seal=None if manner.plaintext else seal_of(flow, settings),
        sinks=Sinks(redis=_Nowhere(), outputs=FileSink(files.add), dead=FileSink(files.add_dead)),
    )
    flow.warm_up()
    dataflow = flow.build(context)
    try:
        cluster_main(  # type: ignore[no-untyped-call]  # Bytewax has no types here
            dataflow, [], 0, epoch_interval=_EPOCH, worker_count_per_proc=manner.workers
        )
    except BytewaxRuntimeError as error:
        raise _ours(error) from None


def _ours(error: BaseException) -> BaseException:
    """Return the error of ours behind what Bytewax raised, else the first behind it."""
    cause = error
    while cause.__cause__ is not None and not isinstance(cause, HeadraceError):
        cause = cause.__cause__
    return cause


class _Nowhere(DynamicSink[Any]):
    def build(
        self, step_id: str, worker_index: int, worker_count: int
    ) -> StatelessSinkPartition[Any]:
        return _NowherePartition()


class _NowherePartition(StatelessSinkPartition[Any]):
    def write_batch(self, items: list[Any]) -> None:
        """Write nothing."""
