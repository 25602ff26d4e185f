"""Packed frames: many ticks a message, by column. The layout is in docs/formats.md."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.market import layout
from connectors.market.columns import Columns
from connectors.market.interning import Interner
from connectors.market.kernels.frames import decode_frame, intern_dictionary
from connectors.market.layout import FRAME_COLUMNS, TICK_BYTES
from connectors.market.tick_columns import TickColumns
from connectors.market.ticks import Tick, fields_of
from state.errors import BadChecksum, Malformed
from state.market.ticks import MAX_CONDITION, MAX_SYMBOL, MAX_VENUE

MAGIC = b"\x89HRF"
VERSION = 1
MAX_TICKS = 65_536
"""The most ticks of a frame; hence at most so many strings of each kind."""

_HEADER = struct.Struct("<4sHHIIIIII")
_CHECKED_FROM = 12
"""The checksum covers the bytes from here to the end."""

_DTYPES = dict(
    zip(
        (name for name, _ in FRAME_COLUMNS),
        ("<i8", "<i8", "<i8", "<f8", "<f8", "<f8", "<f8", "<u2", "<u2", "<u2", "u1", "u1"),
        strict=True,
    )
)


def encode_frame(ticks: TickColumns) -> bytes:
    """Return ticks as one frame, with only those strings that occur.

    Raises ValueError for more than 65,536 ticks, a code that means nothing, a string
    that is too long. Prices and times are not judged.
    """
    if len(ticks) > MAX_TICKS:
        raise ValueError(f"{len(ticks)} ticks; a frame holds at most {MAX_TICKS}")
    symbol, symbols = _compacted(ticks.symbol, ticks.symbols, MAX_SYMBOL)
    venue, venues = _compacted(ticks.venue, ticks.venues, MAX_VENUE)
    condition, conditions = _compacted(ticks.condition, ticks.conditions, MAX_CONDITION)
    dictionary = b"".join(bytes([len(text)]) + text for text in symbols + venues + conditions)
    values: tuple[NDArray[Any], ...] = (
        ticks.ts_ns, ticks.recv_ns, ticks.seq, ticks.price, ticks.size, ticks.ask, ticks.ask_size,
        symbol, venue, condition, ticks.kind, ticks.side,
    )  # fmt: skip
    columns = (
        column.astype(dtype, copy=False).tobytes()
        for column, dtype in zip(values, _DTYPES.values(), strict=True)
    )
    counts = (len(ticks), len(symbols), len(venues), len(conditions), len(dictionary))
    checked = b"".join((struct.pack("<5I", *counts), dictionary, *columns))
    return _HEADER.pack(MAGIC, VERSION, 0, zlib.crc32(checked), *counts)[:_CHECKED_FROM] + checked


def _compacted(
    codes: NDArray[np.int32], texts: list[str], longest: int
) -> tuple[NDArray[np.int64], list[bytes]]:
    """Return codes into those texts alone that occur, and these as UTF-8."""
    if len(codes) and not 0 <= int(codes.min()) <= int(codes.max()) < len(texts):
        raise ValueError("a code is outside its list of strings")
    occurs = np.zeros(len(texts), bool)
    occurs[codes] = True
    encoded = [texts[i].encode() for i in np.flatnonzero(occurs)]
    if any(len(text) > longest for text in encoded):
        raise ValueError(f"a string has more than {longest} bytes")
    return (np.cumsum(occurs) - 1)[codes], encoded


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame whose header, length and checksum are right, in ``data`` uint8."""

    data: NDArray[np.uint8]
    dictionary: int
    columns: int
    """Where the dictionary and the columns begin in ``data``."""
    ticks: int
    symbols: int
    venues: int
    conditions: int

    def fill(
        self, columns: Columns, first: int, strings: Interner, latest_ns: int
    ) -> dict[int, dict[str, Any]]:
        """Fill rows ``first`` to ``first + ticks`` of ``columns``.

        Returns, by index in the frame, the fields of the ticks that the kernel did not fill.
        Raises Malformed where the dictionary or a code is wrong; then no row is filled.
        """
        ids = self._intern(strings)
        asks = decode_frame(
            self.data, self.columns, self.ticks, latest_ns, ids, self.symbols, self.venues,
            strings.table, columns.arrays, first, columns.status,
        )  # fmt: skip
        if asks < 0:
            raise Malformed("a code in the frame means nothing")
        if asks == 0:
            return {}
        status = columns.status[first : first + self.ticks]
        rows = np.flatnonzero(status == layout.ASK).tolist()
        return {row: self._fields(row, ids, strings) for row in rows}

    def _intern(self, strings: Interner) -> NDArray[np.int32]:
        count = self.symbols + self.venues + self.conditions
        strings.reserve(count)
        ids = np.empty(count, np.int32)
        # Lengths are below 0x80, so a string cut inside a character is seen in the whole too.
        try:
            self.data[self.dictionary : self.columns].tobytes().decode()
        except UnicodeDecodeError:
            raise Malformed("the frame's dictionary is not UTF-8") from None
        if not intern_dictionary(
            self.data, self.dictionary, self.columns, self.symbols, self.venues, self.conditions,
            strings.table, ids,
        ):  # fmt: skip
            raise Malformed("the frame's dictionary is damaged or holds a string that is too long")
        return ids

    def _fields(self, row: int, ids: NDArray[np.int32], strings: Interner) -> dict[str, Any]:
        """Return the fields of one tick in the JSON format."""
        raw: dict[str, Any] = {}
        at = self.columns
        for name, width in FRAME_COLUMNS:
            place = at + row * width
            raw[name] = self.data[place : place + width].view(_DTYPES[name])[0].item()
            at += self.ticks * width
        raw["symbol"] = strings.text(int(ids[raw["symbol"]]))
        raw["venue"] = strings.text(int(ids[self.symbols + raw["venue"]]))
        raw["condition"] = strings.text(int(ids[self.symbols + self.venues + raw["condition"]]))
        return fields_of(Tick(**raw))


def open_frame(data: NDArray[np.uint8]) -> Frame:
    """Return the frame in ``data``, a message's bytes.

    Raises Malformed (truncated, unknown version or flags, wrong length) and BadChecksum.
    """
    if len(data) < _HEADER.size:
        raise Malformed("the frame is truncated")
    magic, version, flags, checksum, ticks, symbols, venues, conditions, size = _HEADER.unpack_from(
        data.data
    )
    if magic != MAGIC:
        raise Malformed("neither a frame nor JSON")
    if version != VERSION or flags != 0:
        raise Malformed(
            f"a frame of version {version} with flags {flags}; known is {VERSION} with 0"
        )
    if max(ticks, symbols, venues, conditions) > MAX_TICKS:
        raise Malformed(f"the frame counts more than {MAX_TICKS} ticks or strings")
    expected = _HEADER.size + size + ticks * TICK_BYTES
    if len(data) != expected:
        raise Malformed(f"the frame has {len(data)} bytes, its header says {expected}")
    if zlib.crc32(data.data[_CHECKED_FROM:]) != checksum:
        raise BadChecksum("the frame's checksum does not match its bytes")
    return Frame(data, _HEADER.size, _HEADER.size + size, ticks, symbols, venues, conditions)
