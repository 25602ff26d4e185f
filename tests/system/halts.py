"""Halts injected into a stream of ticks: the price runs to the limit in force and sits there.

Which limit is in force is what `tests.reference.luld` says of the ticks so far, the injected ones
included; it says at the end which ``bands`` records have to come of all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count

import orjson

from replay.message import Message
from replay.recording import Recording
from state.clock import NS
from state.outputs import to_json
from tests.reference.luld import BandPartition
from tests.reference.vocabulary import Tick

VENUE = "RUN"
"""The venue of what is injected: no real one is called so."""
STEPS = 4
STEP_NS = NS // 2


@dataclass(frozen=True)
class Halt:
    """A run upwards or downwards from ``at_ns`` on, which sits at the limit for ``stays_ns``."""

    at_ns: int
    side: str
    stays_ns: int

    @property
    def limit_ns(self) -> int:
        """When the limit is reached."""
        return self.at_ns + STEPS * STEP_NS

    @property
    def leaves_ns(self) -> int:
        """When the quote at the limit is taken back."""
        return self.limit_ns + self.stays_ns

    def ticks(self, symbol: str, price: float, limit: float) -> Iterator[Tick]:
        """Yield a trade and a quote at every step and second, then the end of the quote."""
        for step in range(1, STEPS):
            at = round(price + (limit - price) * step / STEPS, 2)
            yield from self._sitting(symbol, self.at_ns + step * STEP_NS, at)
        for ts_ns in range(self.limit_ns, self.leaves_ns, NS):
            yield from self._sitting(symbol, ts_ns, limit)
        yield self._quote(symbol, self.leaves_ns, limit, 0.0)

    def _sitting(self, symbol: str, ts_ns: int, price: float) -> Iterator[Tick]:
        yield Tick(0, 0, "trade", ts_ns, symbol=symbol, venue=VENUE, price=price, size=100.0)
        yield self._quote(symbol, ts_ns, price, 500.0)

    def _quote(self, symbol: str, ts_ns: int, price: float, size: float) -> Tick:
        quote = Tick(0, 0, "quote", ts_ns, symbol=symbol, venue=VENUE)
        if self.side == "up":
            return replace(quote, bid=price, bid_size=size)
        return replace(quote, ask=price, ask_size=size)


def inject(ticks: Iterable[Tick], halts: Iterable[Halt], partition: BandPartition) -> list[Tick]:
    """Return the ticks with the halts among them, in order of time and numbered anew.

    They are of one symbol and one partition, to which ``partition`` is moved; the halts lie
    further apart than they last.
    """
    found: list[Tick] = []
    due, coming = list(halts), list[Tick]()
    last_price, offsets = 0.0, count()

    def take(tick: Tick) -> None:
        found.append(replace(tick, offset=next(offsets)))
        partition.take(found[-1])

    for tick in ticks:
        if due and tick.ts_ns >= due[0].at_ns:
            limit = _limit(partition, due[0].side)
            coming += due.pop(0).ticks(tick.symbol, last_price, limit)
        while coming and coming[0].ts_ns <= tick.ts_ns:
            take(coming.pop(0))
        take(tick)
        last_price = tick.price or last_price
    return found


def _limit(partition: BandPartition, side: str) -> float:
    ((_, bands),) = partition.bands.values()
    limit = bands.upper if side == "up" else bands.lower
    assert limit is not None, "there are no bands to run to"
    return limit


def ticks_of(recording: Recording) -> Iterator[Tick]:
    """Yield the ticks of a recording of JSON ticks; not its heartbeats."""
    for message in recording.messages():
        if message.value:
            fields = orjson.loads(message.value)
            kind = fields.pop("type")
            yield Tick(message.partition, message.offset, kind, **fields)


def message_of(tick: Tick) -> Message:
    """Return a tick as a JSON message that came at the time of its event."""
    fields = {"type": tick.kind, "symbol": tick.symbol, "ts_ns": tick.ts_ns, "venue": tick.venue}
    if tick.kind == "trade":
        fields |= {"price": tick.price, "size": tick.size, "condition": tick.condition}
    if tick.bid:
        fields |= {"bid": tick.bid, "bid_size": tick.bid_size}
    if tick.ask:
        fields |= {"ask": tick.ask, "ask_size": tick.ask_size}
    key, value = tick.symbol.encode(), to_json(fields)
    return Message("market.ticks", tick.partition, tick.offset, tick.ts_ns, key, value)
