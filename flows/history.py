"""The history system: the output topics of market into PostgreSQL or TimescaleDB.

::

    market.bars ──┐
    market.nbbo ──┤
    market.risk ──┼─┬─ postgres
    ...           │ └─ dead letters ── dead
    market.late ──┘

It keeps no state but its offsets: the database itself says which rows it already has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from connectors.postgres.decode import HistoryDecoder, RowsBlock
from connectors.postgres.keeping import Keeping
from connectors.postgres.sink import PostgresSink
from connectors.postgres.tables import TABLES
from state.records import DeadLetter
from state.shards import shard_names

if TYPE_CHECKING:
    from flows.runner import Context


def build(context: Context) -> Dataflow:
    """Return the dataflow of the history system."""
    flow = Dataflow("history")
    topics = [
        op.input(topic.replace(".", "_"), flow, context.source(topic, HistoryDecoder(table).decode))
        for topic, table in TABLES.items()
    ]
    blocks = op.merge("blocks", *topics)
    op.output("postgres", blocks, _sink(context))
    op.output("dead", op.flat_map("dead_letters", blocks, _dead_letters), context.sinks.dead)
    return flow


def _sink(context: Context) -> PostgresSink:
    settings = context.settings
    return PostgresSink(
        settings.postgres.dsn,
        Keeping(settings.postgres.retention, settings.postgres.compress_after),
        shard_names(settings.kafka.shards),
        context.local,
        context.lifecycle,
    )


def _dead_letters(item: tuple[str, RowsBlock]) -> list[tuple[str, DeadLetter]]:
    name, block = item
    return [(name, letter) for letter in block.dead]
