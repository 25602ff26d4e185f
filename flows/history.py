"""The history flow: the output topics of all systems into PostgreSQL or TimescaleDB.

::

    <system>.<output>, ... ─┬─ postgres
                            ├─ what a system adds
                            └─ dead letters ── dead

It keeps no state but its offsets: the database itself says which rows it already has.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from connectors.postgres.decode import HistoryDecoder, RowsBlock
from connectors.postgres.keeping import Keeping
from connectors.postgres.sink import PostgresSink
from connectors.postgres.tables import tables_of
from flows.engine.inputs import Inputs, NamedItem, Source
from flows.engine.streams import dead_letters
from flows.engine.systems import declared_outputs, systems
from state.inputs import Input
from state.shards import shard_names

if TYPE_CHECKING:
    from flows.engine.context import Context
    from flows.settings.settings import Settings


def build(context: Context) -> Dataflow:
    """Return the dataflow of the history system."""
    flow = Dataflow("history")
    sources: dict[str, Source] = {
        topic: context.source(topic, HistoryDecoder(table).decode)
        for topic, table in tables_of(declared_outputs()).items()
        if context.has(topic)
    }
    blocks = op.map("blocks", op.input("inputs", flow, Inputs(sources)), _block)
    op.output("postgres", blocks, _sink(context))
    for system in systems():
        if system.history:
            import_module(system.history).add(context, blocks)
    op.output("dead", op.flat_map("dead_letters", blocks, dead_letters), context.sinks.dead)
    return flow


def inputs(_: Settings) -> list[Input]:
    """Return the topics of all outputs; those of a flow that never ran here are left out."""
    return [Input(output.topic, group=output.system, patient=True) for output in declared_outputs()]


def _block(item: NamedItem) -> tuple[str, RowsBlock]:
    return item[1]


def _sink(context: Context) -> PostgresSink:
    settings = context.settings
    return PostgresSink(
        settings.postgres.dsn,
        declared_outputs(),
        Keeping(settings.postgres.retention, settings.postgres.compress_after),
        shard_names(settings.kafka.shards),
        context.local,
        context.lifecycle,
    )
