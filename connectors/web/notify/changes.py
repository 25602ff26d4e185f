"""Which records of a table are news: those that change a field under their key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from connectors.web.channels import Channel
from state.retraction import RETRACTED

Values = Mapping[str, Any]


class Changes:
    """The last values of some fields, by table key.

    A heartbeat repeats them, so it is no news; the first record of a key is.
    """

    def __init__(self, channel: Channel, fields: Sequence[str]) -> None:
        """Watch ``fields`` of the channel's source, which is a table."""
        self._channel = channel
        self._fields = tuple(fields)
        self._last: dict[str, dict[str, Any]] = {}

    def begin(self, values: Iterable[bytes]) -> None:
        """Take records of before for known, the newest first."""
        for value in values:
            record = orjson.loads(value)
            if not record.get(RETRACTED):
                self._last.setdefault(self._key(record), self._of(record))

    def of(self, record: Values) -> Values | None:
        """Return what the fields were before, {} at first; None where the record is no news."""
        now = self._of(record)
        before = self._last.get(self._key(record), {})
        self._last[self._key(record)] = now
        return before if now != before and self._takes(record) else None

    def leave(self, key: str) -> bool:
        """Forget a key that was retracted; return whether it had been of the channel."""
        return self._last.pop(key, None) is not None

    def _takes(self, record: Values) -> bool:
        return self._channel.takes(self._channel.source.values(record))

    def _key(self, record: Values) -> str:
        return self._channel.source.table_key(record)

    def _of(self, record: Values) -> dict[str, Any]:
        return {name: record[name] for name in self._fields}
