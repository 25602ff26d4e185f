"""The history system: the output topics of market and trading into PostgreSQL or TimescaleDB.

::

    market.bars, market.nbbo, ... ─┬─┬─ postgres
    trading.decisions, ...        ─┘ └─ dead letters ── dead

It keeps no state but its offsets: the database itself says which rows it already has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from connectors.postgres.decode import HistoryDecoder, RowsBlock
from connectors.postgres.keeping import Keeping
from connectors.postgres.sink import PostgresSink
from connectors.postgres.tables import TABLES
from flows.inputs import Inputs, Item, Source
from state.outputs import TRADING
from state.records import DeadLetter
from state.shards import shard_names

if TYPE_CHECKING:
    from flows.runner import Context
    from flows.settings import Settings

OF_TRADING = tuple(output.topic for output in TRADING)


def build(context: Context) -> Dataflow:
    """Return the dataflow of the history system."""
    flow = Dataflow("history")
    sources: dict[str, Source] = {
        topic: context.source(topic, HistoryDecoder(table).decode)
        for topic, table in TABLES.items()
        if topic not in OF_TRADING or context.has(topic)
    }
    blocks = op.map("blocks", op.input("inputs", flow, Inputs(sources)), _block)
    op.output("postgres", blocks, _sink(context))
    op.output("dead", op.flat_map("dead_letters", blocks, _dead_letters), context.sinks.dead)
    return flow


def optional(_: Settings) -> Sequence[str]:
    """Return the topics that are read only where they exist at a generation's first start."""
    return OF_TRADING


def _block(item: Item) -> tuple[str, RowsBlock]:
    return item[1]


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
