"""What a shard hands over to those who combine partitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Close(NamedTuple):
    """A risk bar that closed: its simple return, and whether there was a bar before it."""

    end_ns: int
    symbol: str
    ret: float
    has_return: bool
    price: float


class SessionClose(NamedTuple):
    """The last price of a symbol in a session that is over: its close (ns), symbol and price."""

    close_ns: int
    symbol: str
    price: float


class Home(NamedTuple):
    """A symbol that has come, and its partition."""

    symbol: str
    partition: int


class Handover(NamedTuple):
    """Closed bars of one block, and how far its partitions have got.

    ``passed``: the end of the last window of the risk interval (ns) that the watermark of each
    partition that moved has passed. ``homes``: the symbols that came.
    """

    topic: str
    partitions: int
    passed: dict[int, int]
    closes: list[Close]
    sessions: list[SessionClose]
    homes: Sequence[Home] = ()
