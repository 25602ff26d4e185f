"""The history sink: rows into PostgreSQL or TimescaleDB, twice the same as once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import psycopg
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from pydantic import SecretStr

from connectors.postgres.client import Database, passes, refusal
from connectors.postgres.decode import Retraction, Row, RowsBlock
from connectors.postgres.keeping import Keeping
from connectors.postgres.tables import Table
from connectors.postgres.writer import Writer
from connectors.waiting import Outage
from state.errors import Undelivered
from state.lifecycle import Lifecycle
from state.outputs import Output

NAME = "postgres"
FIRST_S, LONGEST_S = 60.0, 900.0
"""How long a write may take before it is broken off and tried again; twice as long each time, for a
server that is only slow."""


class PostgresSink(FixedPartitionedSink[RowsBlock, None]):
    """Takes ``(shard name, RowsBlock)``.

    Each ``write_batch`` is one transaction, committed when it returns. A server that is
    down is waited for. Raises, from any partition, SettingsError where the login is
    refused, Misuse where the schema is another version's, Undelivered where the
    database refuses rows for good, Stopped where the process is told to stop while it
    waits.
    """

    def __init__(
        self,
        dsn: SecretStr,
        outputs: Iterable[Output],
        keeping: Keeping,
        shards: Sequence[str],
        local: Sequence[str],
        lifecycle: Lifecycle,
    ) -> None:
        """``outputs`` are all that have a table here.

        ``shards`` are the names of all shards, ``local`` those of this process.
        """
        self._database = Database(dsn)
        self._outputs = tuple(outputs)
        self._keeping = keeping
        self._order = {name: index for index, name in enumerate(sorted(shards))}
        self._local = list(local)
        self._lifecycle = lifecycle

    def list_parts(self) -> list[str]:
        """Return the shards of this process."""
        return self._local

    def part_fn(self, item_key: str) -> int:
        """Return where the shard stands in Bytewax's sorted list of all partitions."""
        return self._order[item_key]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> PostgresPartition:
        """Return the writer of a shard; it has no state of its own."""
        return PostgresPartition(self._database, self._outputs, self._keeping, self._lifecycle)


class PostgresPartition(StatefulSinkPartition[RowsBlock, None]):
    """The writer of one shard, with a connection of its own."""

    def __init__(
        self,
        database: Database,
        outputs: Sequence[Output],
        keeping: Keeping,
        lifecycle: Lifecycle,
    ) -> None:
        self._database = database
        self._outputs = outputs
        self._keeping = keeping
        self._outage = Outage(NAME, lifecycle)
        self._writer: Writer | None = None
        self._limit_s = FIRST_S

    def write_batch(self, values: list[RowsBlock]) -> None:
        """Commit the rows, as often as it takes."""
        batch: dict[Table, list[Row]] = {}
        retractions: list[Retraction] = []
        for block in values:
            if block.rows:
                batch.setdefault(block.table, []).extend(block.rows)
            retractions += block.retractions
        while batch or retractions:
            try:
                with self._outage.lifecycle.calling(NAME):
                    self._write(batch, retractions)
            except psycopg.Error as error:
                self.close()
                self._limit_s = min(2 * self._limit_s, LONGEST_S)
                if not passes(error):
                    tables = [table.name for table in batch] or ["headrace_retractions"]
                    raise Undelivered(", ".join(tables), refusal(error)) from None
                self._outage.wait(self._database.masked(error))
            else:
                self._outage.over()
                self._limit_s = FIRST_S
                return

    def _write(self, batch: dict[Table, list[Row]], retractions: list[Retraction]) -> None:
        if self._writer is None:
            connection = self._database.connect()
            self._writer = Writer(connection, self._outputs, self._keeping)
        with self._writer.within(self._limit_s):
            self._writer.write(batch, retractions)

    def snapshot(self) -> None:
        """Return at once: whatever was taken is committed."""

    def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
