"""The messages of the protocol as WebSocket frames (docs/feed.md); no socket.

A frame is made once and its bytes written to all clients: what a server sends is not masked
(RFC 6455, section 5.1), so it is the same for all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import orjson
import ormsgpack
from websockets.frames import Frame, Opcode

from connectors.web.channels import Values
from state.outputs import Output, to_json
from state.retraction import retraction

VERSION = 1
PATH = "/ws"
"""Where the WebSocket is."""
JSON = "headrace.v1.json"
MSGPACK = "headrace.v1.msgpack"
SUBPROTOCOLS = (JSON, MSGPACK)

# A quote between `_ns` and a colon can only end the name of a field, for inside of a text it
# would be escaped.
# And what a comma or a brace ends is whole: names are the sender's in places, as in weights.
_NS = re.compile(rb'_ns":(-?[0-9]+)(?=[,}])')
_POSITION = re.compile(r"([0-9]{1,9}):([0-9]{1,19})-([0-9]{1,19})")


class BadMessage(Exception):
    """What a client sent is not of the protocol; args: (reason,)."""


class Record:
    """One record: its place in the stream, what it is filtered by, and its encodings.

    ``before`` is what the record before it under its key was filtered by, None where unknown and
    empty where there was none. A ``retracted`` one takes its key away; it is filtered by what the
    record before it was, as far as that is known, else by its key.
    """

    __slots__ = ("_encoded", "_withdrawn", "before", "key", "place", "raw", "retracted", "values")

    def __init__(self, place: Place, key: str, values: Values, raw: bytes) -> None:
        """Hold ``raw``, canonical JSON; ``key`` is its table key, '' for none."""
        self.place = place
        self.key = key
        self.values = values
        self.raw = raw
        self.retracted = False
        self._withdrawn: Record | None = None
        self.before: Values | None = None
        self._encoded: dict[str, bytes] = {}

    def withdrawn(self, output: Output) -> Record:
        """Return a retraction of its key, for clients that may no longer see its content."""
        if self._withdrawn is None:
            fields = orjson.loads(self.raw)
            taken = retraction(output, fields[output.time], fields["id"], self.key)
            self._withdrawn = Record(self.place, self.key, self.values, to_json(taken))
            self._withdrawn.retracted = True
        return self._withdrawn

    def encoded(self, encoding: str) -> bytes:
        """Return the record in JSON, with times as texts, or in MessagePack; made once."""
        found = self._encoded.get(encoding)
        if found is None:
            found = (
                as_json(self.raw) if encoding == JSON else ormsgpack.packb(orjson.loads(self.raw))
            )
            self._encoded[encoding] = found
        return found


Place = tuple[int, int]
"""A stream id: milliseconds and sequence."""
Position = tuple[int, Place]
"""A generation, and a place in its stream."""
START: Place = (0, 0)
"""Before any entry of a stream."""


def as_json(raw: bytes) -> bytes:
    """Return canonical JSON whose ``…_ns`` are texts: browsers lose integers above 2^53.

    >>> as_json(b'{"id":"a","ts_ns":1}')
    b'{"id":"a","ts_ns":"1"}'
    >>> as_json(b'{"weights":{"A_ns":0.5}}')
    b'{"weights":{"A_ns":0.5}}'
    """
    return _NS.sub(rb'_ns":"\1"', raw)


def position(generation: int, place: Place) -> str:
    """Return a position as clients see it: ``1:1700000000000-0``."""
    return f"{generation}:{place[0]}-{place[1]}"


def parse_position(text: object) -> Position:
    """Return what a client names. Raises BadMessage."""
    match = _POSITION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise BadMessage("after has to be a position, such as 1:1700000000000-0")
    return int(match[1]), (int(match[2]), int(match[3]))


def parse(data: bytes, encoding: str) -> dict[str, Any]:
    """Return a client's message, an object with a ``type``. Raises BadMessage."""
    try:
        found = orjson.loads(data) if encoding == JSON else ormsgpack.unpackb(data)
    except ValueError:
        raise BadMessage(f"a message has to be {encoding.rpartition('.')[2]}") from None
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        raise BadMessage("a message has to be an object with a type")
    return found


def message(encoding: str, content: Mapping[str, Any]) -> bytes:
    """Return the frame of a small message."""
    if encoding == JSON:
        return _frame(encoding, as_json(orjson.dumps(content)))
    return _frame(encoding, ormsgpack.packb(content))


def records(
    encoding: str,
    kind: Literal["snapshot", "delta"],
    channel: str,
    at: str,
    found: Sequence[Record],
    *,
    last: bool = True,
) -> bytes:
    """Return the frame of a snapshot's part, or of a delta, up to the position ``at``."""
    head: dict[str, Any] = {"type": kind, "channel": channel, "position": at}
    if kind == "snapshot":
        head["last"] = last
    bodies = [record.encoded(encoding) for record in found]
    if encoding == JSON:
        return _frame(
            encoding, b'%b,"records":[%b]}' % (orjson.dumps(head)[:-1], b",".join(bodies))
        )
    packed = ormsgpack.packb(head | {"records": []})
    # The map's last byte is its last value, the empty list.
    return _frame(encoding, b"".join([packed[:-1], _array_head(len(bodies)), *bodies]))


def _array_head(count: int) -> bytes:
    """Return the head of a MessagePack array (MessagePack specification, "array format family")."""
    if count < 16:
        return bytes([0x90 | count])
    if count < 1 << 16:
        return b"\xdc" + count.to_bytes(2, "big")
    return b"\xdd" + count.to_bytes(4, "big")


def _frame(encoding: str, payload: bytes) -> bytes:
    opcode = Opcode.TEXT if encoding == JSON else Opcode.BINARY
    return Frame(opcode, payload).serialize(mask=False)
