"""What the trading controls are given, one at a time and in order, and what they give back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from state.records import Coordinates


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of the sequenced topic.

    ``coordinates`` are its own in market.sequenced, ``source`` those of the message that was
    sequenced, and ``topic`` is that message's topic, such as ``market.orders``. ``ts_ns`` is when
    it was sequenced (ns since 1970 UTC): the only clock that the controls know; it does not go back
    from one entry to the next. ``body`` is the parsed JSON object; it is read, never changed.
    ``generation`` is that of the flow that wrote the message, 0 where none of ours did.
    """

    coordinates: Coordinates
    source: Coordinates
    ts_ns: int
    topic: str
    body: dict[str, Any]
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Emitted:
    """One record for an output of the trading system.

    ``key`` is the key of the output's table: the account for ``state`` ("*" for all), and
    account|order id for ``decisions`` and account|name for ``limits``. ``record`` holds plain
    values without NaN and its own identity in ``id``.
    """

    output: Literal["decisions", "state", "limits"]
    key: str
    record: dict[str, Any]
