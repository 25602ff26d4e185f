"""What a flow is built from: sources, sinks, steps and names, made once for each worker.

A flow is a module, of ours or the user's own file, with ``build(context) -> Dataflow`` and
``inputs(settings)``. Everything that it needs of the outside is in its `Context`::

    def inputs(settings):
        return [Input("numbers")]

    def build(context):
        flow = Dataflow("mine")
        numbers = op.input("numbers", flow, context.source("numbers", decode))
        context.write(context.step("sums", numbers, Sums))
        return flow

The same ``build`` runs live (flows/engine/live.py) and over recordings (replay/running.py), on
other sources and sinks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource
from bytewax.operators import KeyedStream
from bytewax.outputs import Sink

from connectors.kafka.delivery import Outgoing
from connectors.kafka.plan import BlockT
from connectors.kafka.written import Place
from flows.engine.step import Step, Stepped, add_step
from flows.settings.part import Timed, settings_hash
from flows.settings.settings import Settings
from operators.logic import Logic
from state.inputs import Input
from state.lifecycle import Lifecycle
from state.outputs import Output
from state.records import DeadLetter, Messages, OutputBatch

if TYPE_CHECKING:
    from state.sealing import Seal

Logics = Mapping[str, Callable[[], Logic]]
"""The name of a step -> how its logic is made, without state."""


@dataclass(frozen=True)
class Flow:
    """One flow, of a system or of the user's own file."""

    name: str
    build: Callable[[Context], Dataflow]
    outputs: Sequence[Output]
    """The outputs whose topics are created where they are missing."""
    inputs: Callable[[Settings], Sequence[Input]]
    """Every topic that it reads under these settings."""
    warm_up: Callable[[], None] = lambda: None
    """Compiles or loads what would otherwise be compiled while records wait."""
    table: Callable[[Settings], Timed] = field(default=lambda settings: Timed())
    """The settings on which its outputs and state depend."""
    sharded: bool = True
    """Whether its state also depends on the number of shards."""
    logics: Callable[[Settings], Logics] = field(default=lambda settings: {})
    """Its stateful steps; none where it keeps nothing but offsets."""
    secret: bool = False
    """Whether its state is secret though it has no outputs, which otherwise say so."""


class MakeSource(Protocol):
    """Makes the source of one topic."""

    def __call__(
        self, topic: str, decode: Callable[[Messages], BlockT]
    ) -> FixedPartitionedSource[tuple[str, BlockT], Any]:
        """Return a source of ``(shard name, decode(messages))``, one partition a shard."""


class MakeSequencer(Protocol):
    """Makes the source and the sink that append the messages of some topics to one."""

    def __call__(
        self, topics: Sequence[str], into: str, system: str
    ) -> tuple[FixedPartitionedSource[tuple[str, Outgoing], Any], Sink[tuple[str, Outgoing]]]:
        """Return both; what is between them is ``(shard name, message)``.

        The clock among what is appended tells the generation of ``system`` that readers use.
        """


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

    flow: Flow
    """Its name begins the names of topics, Redis keys and directories."""
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
    places: Mapping[str, Place] = field(default_factory=dict)
    """Where output topics are read back from by a start without a snapshot."""
    seal: Seal | None = None
    """Seals secret outputs and snapshots; None where the flow has none, or files are for people."""

    @property
    def system(self) -> str:
        """Return the flow's name."""
        return self.flow.name

    def step(
        self, name: str, items: KeyedStream[Any], make: Callable[[], Logic] | None = None
    ) -> Stepped:
        """Add a stateful step; without ``make`` it is the flow's logic of that name."""
        found = make or self.flow.logics(self.settings)[name]
        said = flow_hash(self.flow, self.settings)
        return add_step(
            name, items, Step(found, said, tuple(self.flow.outputs), self.seal, self.ends)
        )

    def write(self, *stepped: Stepped, dead: Sequence[KeyedStream[DeadLetter]] = ()) -> None:
        """Write the records of steps to Redis and to their topics, dead letters to theirs.

        ``dead`` are letters of what came before the first step. Called once for a flow.
        """
        records = op.merge("outputs", *(each.records for each in stepped))
        op.output("redis", records, self.sinks.redis)
        op.output("topics", records, self.sinks.outputs)
        self.write_dead(op.merge("dead_letters", *(each.dead for each in stepped), *dead))

    def write_dead(self, letters: KeyedStream[DeadLetter]) -> None:
        """Write dead letters to their topic, sealed where the flow has secret outputs."""
        if self.seal is not None:
            letters = op.map_value("seal_dead", letters, partial(self.seal.letter, self.flow.name))
        op.output("dead", letters, self.sinks.dead)


def flow_hash(flow: Flow, settings: Settings) -> str:
    """Return the hash of the settings on which a flow's outputs and state depend."""
    return settings_hash(flow.table(settings), shards_of(flow, settings))


def shards_of(flow: Flow, settings: Settings) -> int:
    """Return the number of shards on which a flow's state depends: 1 where it does not."""
    return settings.kafka.shards if flow.sharded else 1
