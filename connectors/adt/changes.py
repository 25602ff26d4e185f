"""Reads the topics of patient care's outputs, opening what is sealed."""

from __future__ import annotations

from typing import Any

import orjson

from connectors.kafka.sink import RETRACTED_HEADER
from state.adt.changes import Change
from state.errors import DamagedSeal, Malformed, WrongType
from state.metrics import RECORDS
from state.outputs import Output
from state.records import HEARTBEAT_HEADER, Messages
from state.rows import RowBlock
from state.sealing import Seal


class ChangeDecoder:
    """Decodes the messages of one output's topic."""

    def __init__(self, output: Output, seal: Seal) -> None:
        self._output, self._seal = output, seal
        self._names = {column.name for column in output.columns if not column.optional}

    def __deepcopy__(self, memo: object) -> ChangeDecoder:
        # A replay copies its decoders for each shard; this one keeps nothing of what it decodes.
        return self

    def decode(self, messages: Messages) -> RowBlock[Change]:
        """Return the records in order, and the messages that are none as dead letters.

        Raises UnknownKey where a record was sealed with a key that the keyring has not.
        """
        block: RowBlock[Change] = RowBlock.of(messages)
        for row in range(len(messages)):
            value, headers = messages.value(row), dict(messages.headers.get(row, ()))
            if not value and HEARTBEAT_HEADER in headers:
                continue
            try:
                key, record = self._opened(value, retracted=RETRACTED_HEADER in headers)
            except (Malformed, WrongType) as error:
                block.dead.append(messages.dead(row, error))
                continue
            where, timestamp_ns = messages.coordinates(row), int(messages.timestamp_ns[row])
            told = (where, timestamp_ns, messages.keys[row], value)
            block.rows.append(Change(self._output.name, key, record, *told))
        RECORDS.labels(messages.topic).inc(len(block))
        return block

    def _opened(self, value: bytes, *, retracted: bool) -> tuple[str, dict[str, Any] | None]:
        """Return the key and the record, None for one that takes the key away."""
        try:
            record = orjson.loads(self._seal.unseal(self._output.topic, value))
        except DamagedSeal:
            raise Malformed("no sealed record of this output, or damaged") from None
        if retracted:
            return record["key"], None
        if missing := sorted(self._names - record.keys()):
            raise WrongType(f"{missing[0]} is missing")
        return "|".join(record[name] for name in self._output.key), record
