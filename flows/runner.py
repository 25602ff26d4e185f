"""What a flow is built from: sources, sinks and names, made once for each worker.

A flow is a module, of ours or the user's own file, with ``build(context) -> Dataflow``.
Everything that it needs of the outside is in its `Context`::

    def build(context: Context) -> Dataflow:
        flow = Dataflow("mine")
        ticks = op.input("ticks", flow, context.source("market.ticks", decode))
        bars = op.stateful_batch("bars", ticks, Logic)
        op.output("redis", bars, context.sinks.redis)
        return flow

The same ``build`` runs live (here) and over recordings (replay/), on other sources and sinks.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource
from bytewax.outputs import Sink

from connectors.kafka.delivery import Outgoing
from connectors.kafka.source import BlockT
from flows.settings import Settings
from flows.systems import SYSTEMS, flow_name
from state.errors import Misuse
from state.lifecycle import Lifecycle
from state.outputs import OUTPUTS
from state.records import DeadLetter, Messages, OutputBatch


class MakeSource(Protocol):
    """Makes the source of one topic."""

    def __call__(
        self, topic: str, decode: Callable[[Messages], BlockT]
    ) -> FixedPartitionedSource[tuple[str, BlockT], Any]:
        """Return a source of ``(shard name, decode(messages))``, one partition a shard."""


class MakeSequencer(Protocol):
    """Makes the source and the sink that append the messages of some topics to one."""

    def __call__(
        self, topics: Sequence[str], into: str
    ) -> tuple[FixedPartitionedSource[tuple[str, Outgoing], Any], Sink[tuple[str, Outgoing]]]:
        """Return both; what is between them is ``(shard name, message)``."""


@dataclass(frozen=True)
class Sinks:
    """Where outputs go; each takes ``(shard name, …)`` and writes a record once."""

    redis: Sink[tuple[str, OutputBatch]]
    """Live readers: one stream for each output, the latest value for each key."""
    outputs: Sink[tuple[str, OutputBatch]]
    """The durable Kafka topics ``<system>.<output>``."""
    dead: Sink[tuple[str, DeadLetter]]
    """The Kafka topic ``<system>.dead``."""


@dataclass(frozen=True)
class Context:
    """All that a flow may use besides its input; replay and tests make one of other parts."""

    system: str
    """The flow's name: it begins the names of topics, Redis keys and directories."""
    generation: int
    lineage: str
    """Names the one stream of outputs that this generation's start leads to; sinks check it."""
    settings: Settings
    lifecycle: Lifecycle
    local: tuple[str, ...]
    """The names of the shards that this worker runs."""
    source: MakeSource
    sinks: Sinks
    has: Callable[[str], bool] = lambda topic: True
    """Whether a topic can be read: a recording may lack it, and a generation began without some."""
    ends: bool = False
    """Whether the input has an end, as a recording has."""
    sequencer: MakeSequencer | None = None
    """Appends topics to one; None over a recording, which holds what was appended."""


@dataclass(frozen=True)
class Flow:
    """A system, or the user's own flow."""

    name: str
    build: Callable[[Context], Dataflow]
    warm_up: Callable[[], None]
    """Compiles or loads what would otherwise be compiled while records wait."""
    outputs: Sequence[str]
    """The outputs whose topics are created where they are missing."""
    inputs: Callable[[Settings], Sequence[str]] = lambda settings: ()
    """The topics of rare events that are created, of one partition, where they are missing."""
    optional: Callable[[Settings], Sequence[str]] = lambda settings: ()
    """The topics that a generation does without for good where its first start finds none."""


def find_flow(flow: str) -> Flow:
    """Return a system, or the flow of a Python file.

    A file has ``build(context)``, and where it likes ``warm_up()`` and ``OUTPUTS``, the
    names of its outputs. Raises Misuse where it is missing or has no ``build``; what
    importing it raises passes through.
    """
    name = flow_name(flow)
    module = importlib.import_module(SYSTEMS[flow]) if flow in SYSTEMS else _import_file(Path(flow))
    build = getattr(module, "build", None)
    if not callable(build):
        raise Misuse(f"{flow} has no build(context) -> Dataflow; docs/guide shows one")
    outputs = [output.name for output in OUTPUTS.get(flow, ())]
    return Flow(
        name,
        build,
        getattr(module, "warm_up", _nothing),
        getattr(module, "OUTPUTS", outputs),
        getattr(module, "inputs", _no_topics),
        getattr(module, "optional", _no_topics),
    )


def _nothing() -> None:
    """Warm nothing up: importing the flow compiled its kernels."""


def _no_topics(_: Settings) -> Sequence[str]:
    """Return no topic: whoever feeds a flow makes its topics, and it needs all that it reads."""
    return ()


def _import_file(path: Path) -> object:
    if not path.is_file():
        raise Misuse(f"there is no flow file {path}")
    name = f"headrace_flow_{path.stem}"  # a name of its own: the file may be called state.py
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # Last, so that a file beside the flow never hides a package of ours.
    sys.path.append(str(path.resolve().parent))
    spec.loader.exec_module(module)
    return module
