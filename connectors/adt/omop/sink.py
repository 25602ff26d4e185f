"""The sink of OMOP's rows: opens the sealed records of the history flow and writes persons."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson
import psycopg
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from pydantic import SecretStr

from connectors.adt.omop.vocabulary import Vocabulary
from connectors.adt.omop.writer import Make, OmopWriter, Said
from connectors.postgres.client import Database, passes, refusal
from connectors.postgres.decode import RowsBlock
from connectors.waiting import Outage
from state.errors import DamagedSeal, Undelivered
from state.lifecycle import Lifecycle
from state.sealing import Seal

LOG = logging.getLogger("headrace.omop")
NAME = "omop"
PersonId = Callable[[dict[str, Any]], int]


class OmopSink(FixedPartitionedSink[RowsBlock, None]):
    """Takes ``(shard name, RowsBlock)`` of the outputs that rows are made of.

    Each ``write_batch`` is one transaction, committed when it returns. A server that is down is
    waited for. Raises Undelivered where the database refuses rows for good, and Stopped where the
    process is told to stop while it waits.
    """

    def __init__(
        self,
        dsn: SecretStr,
        seal: Seal,
        make: tuple[Make, PersonId],
        vocabulary: Vocabulary,
        shards: Sequence[str],
        local: Sequence[str],
        lifecycle: Lifecycle,
    ) -> None:
        """``shards`` are the names of all shards, ``local`` those of this process."""
        self._made = (Database(dsn), seal, make, vocabulary, lifecycle)
        self._order = {name: index for index, name in enumerate(sorted(shards))}
        self._local = list(local)

    def list_parts(self) -> list[str]:
        """Return the shards of this process."""
        return self._local

    def part_fn(self, item_key: str) -> int:
        """Return where the shard stands in Bytewax's sorted list of all partitions."""
        return self._order[item_key]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> OmopPartition:
        """Return the writer of a shard; it has no state of its own."""
        return OmopPartition(*self._made)


class OmopPartition(StatefulSinkPartition[RowsBlock, None]):
    """The writer of one shard, with a connection of its own."""

    def __init__(
        self,
        database: Database,
        seal: Seal,
        make: tuple[Make, PersonId],
        vocabulary: Vocabulary,
        lifecycle: Lifecycle,
    ) -> None:
        self._database = database
        self._seal = seal
        self._make, self._person_id = make
        self._vocabulary = vocabulary
        self._outage = Outage(NAME, lifecycle)
        self._writer: OmopWriter | None = None
        self._told = False

    def write_batch(self, values: list[RowsBlock]) -> None:
        """Commit the rows of all persons that the records tell of, as often as it takes."""
        said = [each for block in values for each in self._said(block)]
        while said:
            try:
                with self._outage.lifecycle.calling(NAME):
                    self._write(said)
            except psycopg.Error as error:
                self.close()
                if not passes(error):
                    raise Undelivered(NAME, refusal(error)) from None
                self._outage.wait(self._database.masked(error))
            else:
                self._outage.over()
                return

    def _write(self, said: list[Said]) -> None:
        if self._writer is None:
            self._writer = OmopWriter(self._database.connect(), self._make, self._vocabulary)
        self._writer.write(said)

    def _said(self, block: RowsBlock) -> Iterator[Said]:
        """Yield the records of a block, opened. One that is damaged is left out, told once.

        Raises UnknownKey where a key is missing: with the key, all of it is read again.
        """
        output = block.table.output
        names = [column.name for column in block.table.columns]
        for generation, *fields, counter in block.rows:
            envelope = dict(zip(names, fields, strict=True))
            try:
                record = self._seal.unseal_fields(output.topic, envelope)
            except DamagedSeal as error:
                if not self._told:
                    LOG.warning(
                        "records of %s do not open and are left out: %s", output.topic, error
                    )
                self._told = True
                continue
            person = self._person_id(orjson.loads(record))
            yield Said(generation, output.name, envelope["key"], counter or 0, person, record)
        for gone in block.retractions:
            yield Said(gone.generation, output.name, gone.key, gone.counter, None, None)

    def snapshot(self) -> None:
        """Return at once: whatever was taken is committed."""

    def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
