"""The mark of our own tools on a message that names its first coordinates.

`headrace publish` and a retry of dead letters say in headers which record a message is. Anybody who
may write to a topic can write such headers, and a record that poses as another one would replace
it. So they count only beside a mark: an HMAC-SHA-256 (RFC 2104) under a key that the tools and the
flows of an installation share, over the headers, the place, the key and the value. Without it the
message is a record of its own place, like any other.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field

from state.records import ORIGIN_HEADER, RETRY_HEADER, SEQUENCE_HEADER, Header

MARK_HEADER = "headrace-mark"
"""The mark, 32 bytes."""
COORDINATES = frozenset({ORIGIN_HEADER, RETRY_HEADER, SEQUENCE_HEADER})
"""What it is a proof of."""
OURS = COORDINATES | {MARK_HEADER}


@dataclass(frozen=True, slots=True)
class Mark:
    """Makes marks with a secret key, and proves them."""

    key: bytes = field(repr=False)

    def put(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Iterable[Header],
    ) -> list[Header]:
        """Return the headers of a message with a mark on those that name its coordinates."""
        kept = [pair for pair in headers if pair[0] != MARK_HEADER]
        return [*kept, (MARK_HEADER, self._of(topic, partition, key, value, kept))]

    def proves(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: list[Header],
    ) -> bool:
        """Return whether we have written these headers for this very message."""
        found = next((value for name, value in headers if name == MARK_HEADER), b"")
        return hmac.compare_digest(found, self._of(topic, partition, key, value, headers))

    def _of(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Iterable[Header],
    ) -> bytes:
        named = sorted(pair for pair in headers if pair[0] in COORDINATES)
        parts = [
            topic.encode(),
            b"%d" % partition,
            b"" if key is None else b"k" + key,
            value or b"",
        ]
        parts += [part for name, value in named for part in (name.encode(), value)]
        message = b"".join(b"%d:%b" % (len(part), part) for part in parts)
        return hmac.digest(self.key, message, "sha256")


def proven(
    mark: Mark | None,
    topic: str,
    partition: int,
    key: bytes | None,
    value: bytes | None,
    headers: list[Header],
) -> list[Header]:
    """Return the headers of a message without those that name coordinates and are not proven."""
    if OURS.isdisjoint(name for name, _ in headers):
        return headers
    if mark is not None and mark.proves(topic, partition, key, value, headers):
        return headers
    return [pair for pair in headers if pair[0] not in OURS]
