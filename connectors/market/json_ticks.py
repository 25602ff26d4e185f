"""Ticks as JSON, one a message: written by column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from connectors.market.kernels.writing import measure_json, write_json
from connectors.market.tick_columns import TickColumns
from state.market.ticks import NO_SEQ, SIDES, TRADE

_CHUNK = 65_536
"""Ticks written at a time, so that what lies between stays small."""

_MEMBERS = (
    "", ',"symbol":', ',"ts_ns":', ',"recv_ns":', ',"price":', ',"size":', ',"bid":',
    ',"bid_size":', ',"ask":', ',"ask_size":', ',"side":', ',"venue":', ',"condition":', ',"seq":',
)  # fmt: skip
"""What stands before each value of a tick; the first value is the brace and the type."""


def ticks_json(ticks: TickColumns) -> pa.LargeBinaryArray:
    """Return each tick's JSON as an Arrow array; ``.to_pylist()`` gives ``list[bytes]``.

    Absent fields are left out; a double is the shortest text that reads back as the same
    double, and NaN or an infinity is null.
    """
    chunks = [
        _chunk_json(ticks.take(slice(start, start + _CHUNK)))
        for start in range(0, max(len(ticks), 1), _CHUNK)
    ]
    return pa.concat_arrays(chunks)


def _chunk_json(ticks: TickColumns) -> pa.LargeBinaryArray:
    is_trade = ticks.kind == TRADE
    has_bid, has_ask = ~is_trade & (ticks.price != 0), ~is_trade & (ticks.ask != 0)
    texts = _Texts(len(ticks))
    price, size = texts.numbers(ticks.price), texts.numbers(ticks.size)
    ask, ask_size = texts.numbers(ticks.ask), texts.numbers(ticks.ask_size)
    spans = (
        texts.strings([b'{"type":"quote"', b'{"type":"trade"'], is_trade.astype(np.int32)),
        texts.strings(_quoted(ticks.symbols), ticks.symbol),
        texts.numbers(ticks.ts_ns),
        _where(ticks.recv_ns != 0, texts.numbers(ticks.recv_ns)),
        _where(is_trade, price),
        _where(is_trade, size),
        _where(has_bid, price),
        _where(has_bid, size),
        _where(has_ask, ask),
        _where(has_ask, ask_size),
        _where(is_trade, texts.strings(_quoted(SIDES), ticks.side)),
        texts.strings(_quoted(ticks.venues), ticks.venue),
        _where(is_trade, texts.strings(_quoted(ticks.conditions), ticks.condition)),
        _where(ticks.seq != NO_SEQ, texts.numbers(ticks.seq)),
    )
    names, name_at = _joined([name.encode() for name in _MEMBERS])
    at = np.stack(spans)
    starts = np.empty(len(ticks) + 1, np.int64)
    measure_json(name_at, at, starts)
    data = np.empty(starts[-1], np.uint8)
    write_json(names, name_at, texts.joined(), at, starts, data)
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(ticks), [None, pa.py_buffer(starts), pa.py_buffer(data)]
    )


Spans = NDArray[np.int64]
"""int64[n, 2]: where the text of a value begins and ends; nowhere where it is absent."""


class _Texts:
    """The texts of all values of a chunk, one behind another."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._parts: list[NDArray[np.uint8]] = []
        self._length = 0

    def _add(self, text: NDArray[np.uint8]) -> int:
        at = self._length
        self._parts.append(text)
        self._length += len(text)
        return at

    def joined(self) -> NDArray[np.uint8]:
        return np.concatenate(self._parts)

    def numbers(self, values: NDArray[Any]) -> Spans:
        """Add each number's JSON."""
        # orjson's "[1,2,3]": each text is what lies between two of its marks.
        text = np.frombuffer(orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY), np.uint8)
        at = self._add(text)
        commas = np.flatnonzero(text == ord(",")) + at
        marks = np.concatenate(([at], commas, [at + len(text) - 1]))
        return np.column_stack((marks[:-1] + 1, marks[1:]))[: self._rows]

    def strings(self, texts: list[bytes], codes: NDArray[Any]) -> Spans:
        """Add the texts; each row's is that of its code."""
        joined, marks = _joined(texts)
        marks = marks + self._add(joined)
        spans: Spans = np.column_stack((marks[:-1], marks[1:]))[codes]
        return spans


def _joined(texts: list[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the texts one behind another, and the marks between them."""
    marks = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    return np.frombuffer(b"".join(texts), np.uint8), marks


def _quoted(texts: Sequence[str]) -> list[bytes]:
    """Return each text as JSON, nothing for the empty one."""
    return [orjson.dumps(text) if text else b"" for text in texts]


def _where(holds: NDArray[np.bool_], spans: Spans) -> Spans:
    chosen: Spans = np.where(holds[:, None], spans, 0)
    return chosen
