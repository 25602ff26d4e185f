"""OMOP's rows in the history flow, where `adt.omop` is on: they need the keys, and are in clear."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bytewax.operators as op
from bytewax.operators import KeyedStream

from connectors.adt.omop.sink import OmopSink
from connectors.adt.omop.vocabulary import Vocabulary
from connectors.postgres.decode import RowsBlock
from flows.adt.settings import Adt
from flows.engine.sealed import seal_for
from operators.adt.omop import person_id, rows
from state.adt.omop import OUTPUTS
from state.adt.outputs import OUTPUTS as DECLARED
from state.shards import shard_names

if TYPE_CHECKING:
    from flows.engine.context import Context

TOPICS = frozenset(output.topic for output in DECLARED if output.name in OUTPUTS)


def add(context: Context, blocks: KeyedStream[RowsBlock]) -> None:
    """Add what writes the rows. Raises SettingsError where there is no key."""
    settings = context.settings
    table = settings.of(Adt)
    if not table.omop:
        return
    seal = seal_for("adt", DECLARED, settings)
    assert seal is not None, "adt has secret outputs"
    sink = OmopSink(
        settings.postgres.dsn,
        seal,
        (rows, person_id),
        Vocabulary(table.vocabulary),
        shard_names(settings.kafka.shards),
        context.local,
        context.lifecycle,
    )
    op.output("omop", op.filter("of_patients", blocks, _of_patients), sink)


def _of_patients(item: tuple[str, RowsBlock]) -> bool:
    block = item[1]
    return block.table.output.topic in TOPICS and len(block) > 0
