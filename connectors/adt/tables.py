"""The last records of patient care's outputs, from a copy of what Redis holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from connectors.redis.copying import Copy
from state.adt.outputs import OUTPUTS
from state.clock import MS
from state.sealing import Seal

Record = dict[str, Any]
_BY_NAME = {output.name: output for output in OUTPUTS}


class Tables:
    """Opens what is sealed, record by record. Raises UnknownKey and DamagedSeal."""

    def __init__(self, copy: Copy, seal: Seal, since_ns: int | None, until_ns: int | None) -> None:
        """Count what changed since a time, and not after another; None for any."""
        self._copy, self._seal = copy, seal
        self._since_ms = None if since_ns is None else since_ns // MS
        self._until_ms = None if until_ns is None else until_ns // MS

    def records(self, output: str) -> Iterator[tuple[str, Record]]:
        """Yield key and record of an output."""
        names = _BY_NAME[output].key
        for value in self._copy.values(output):
            record = self._opened(output, value)
            yield "|".join(record[name] for name in names), record

    def record(self, output: str, key: str) -> Record | None:
        """Return the record of a key."""
        value = self._copy.value(output, self._hashed(output, key))
        return None if value is None else self._opened(output, value)

    def has(self, output: str, key: str) -> bool:
        """Return whether a key has a record."""
        return self._copy.has(output, self._hashed(output, key))

    def counts(self, key: str, *outputs: str) -> bool:
        """Return whether what a key has in these outputs changed when it is asked for."""
        if self._since_ms is None and self._until_ms is None:
            return True
        found = [self._copy.changed_ms(name, self._hashed(name, key)) for name in outputs]
        return self._within(max((each for each in found if each is not None), default=None))

    def gone(self, output: str) -> Iterator[str]:
        """Yield the keys that were taken back when it is asked for, and are not there again."""
        if self._since_ms is None:
            return
        for changed_ms, value in self._copy.gone(output):
            if self._within(changed_ms):
                yield self._opened(output, value)["key"]

    def _within(self, changed_ms: int | None) -> bool:
        if changed_ms is None:
            return self._since_ms is None
        early = self._since_ms is not None and changed_ms < self._since_ms
        late = self._until_ms is not None and changed_ms > self._until_ms
        return not early and not late

    def _hashed(self, output: str, key: str) -> str:
        return self._seal.key(_BY_NAME[output], key)

    def _opened(self, output: str, value: bytes) -> Record:
        record: Record = orjson.loads(self._seal.unseal(f"adt.{output}", value))
        return record
