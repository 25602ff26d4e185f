"""Blocks of records, and sinks that write them."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from connectors.postgres.client import Connection
from connectors.postgres.decode import HistoryDecoder, RowsBlock
from connectors.postgres.keeping import Keeping
from connectors.postgres.sink import PostgresPartition, PostgresSink
from state.clock import DAY_NS
from state.lifecycle import Lifecycle
from state.market.outputs import OUTPUTS
from state.shards import shard_names
from tests.connectors.postgres.rows import TABLES, YEAR_NS, bar, json_of, messages

BARS = TABLES["market.bars"]
KEEPING = Keeping(retention=100 * YEAR_NS, compress_after=7 * DAY_NS)


def block(output: str, rows: list[dict[str, Any]], generation: int = 1) -> RowsBlock:
    topic = output if "." in output else f"market.{output}"
    made = HistoryDecoder(TABLES[topic]).decode(
        messages(topic, json_of(rows), generation=generation)
    )
    assert made.dead == []
    return made


def bars(first: int, count: int, generation: int = 1) -> RowsBlock:
    return block("bars", [bar(number) for number in range(first, first + count)], generation)


def make_sink(
    dsn: str, lifecycle: Lifecycle | None = None, keeping: Keeping = KEEPING
) -> PostgresSink:
    names = shard_names(2)
    return PostgresSink(SecretStr(dsn), OUTPUTS, keeping, names, names, lifecycle or Lifecycle())


def partition(
    dsn: str, lifecycle: Lifecycle | None = None, keeping: Keeping = KEEPING
) -> PostgresPartition:
    return make_sink(dsn, lifecycle, keeping).build_part("postgres", shard_names(1)[0], None)


def count(connection: Connection, table: str = "market_bars") -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert row is not None
    return int(row[0])
