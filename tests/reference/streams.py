"""Streams of ticks that seek out the borders, for Hypothesis or from a seed.

A stream is built from steps; a step says how event time moves, how far behind it the tick
lies, what its sequence number does, and what the tick says. ``streams`` draws the steps
with Hypothesis, ``random_stream`` from a seed; both give what ``market.run`` reads, and
``Stream.messages`` gives the same ticks as the Kafka messages that the flow reads.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

import orjson
from hypothesis import strategies as st

from state.records import HEARTBEAT_HEADER, ORIGIN_HEADER, RETRY_HEADER, Header
from tests.reference.sequences import WINDOW
from tests.reference.vocabulary import DAY_NS, Kind, ReferenceSettings, Tick

T = TypeVar("T")

SECOND_NS = 1_000_000_000
MILLISECOND_NS = 1_000_000
START_NS = 15_987 * DAY_NS - 3 * SECOND_NS
"""Three seconds before midnight UTC of 2013-10-09, so that a stream soon changes the day."""

SYMBOLS = ("AAA", "BB", "C.D", "Ö")
VENUES = ("", "N", "Q")
CONDITIONS = ("", "@", "@:F", "odd", "x:odd", "4", "c", "8:x", "10")
TRADE_SIZES = (1.0, 100.0, 0.1, 0.3, 250.0)
QUOTE_SIZES = (0.0, 1.0, 2.5, 100.0)
"""Multiples of 1/4, so that their sums are exact in any order."""

Snap = Literal["no", "window start", "window end"]
SeqMove = (
    Literal["none", "next", "skip", "leap", "repeat", "back", "window edge", "too old", "restart"]
    | Literal["swap", "left out"]
)
"""Two messages of one stream and time swap their numbers by "swap" and then "left out"."""

SEQ_MOVES: tuple[SeqMove, ...] = (
    *("none", "next", "next", "next", "next", "skip", "repeat", "repeat", "back"),
    *("none", "leap", "window edge", "too old", "restart", "swap", "swap"),
)
"""How often each move is drawn; a swap decides the stream, time and move of the next message."""


@dataclass(frozen=True, slots=True)
class Step:
    """One message: how it follows the ones before it, and what it says.

    Where it ``follows``, it is of the symbol of the message before it.
    """

    kind: Kind
    symbol: int
    follows: bool
    venue: str
    advance_ns: int
    behind_ns: int
    snap: Snap
    seq: SeqMove
    reach: int
    condition: str
    cents: int
    size: float
    bid_size: float
    ask_cents: int
    ask_size: float
    sides: Literal["bid", "ask", "both"]
    retried: bool
    hole: bool


@dataclass(frozen=True, slots=True)
class WireMessage:
    """One Kafka message; ``timestamp_ns`` is in whole milliseconds, as Kafka's."""

    topic: str
    partition: int
    offset: int
    timestamp_ns: int
    key: bytes | None
    value: bytes
    headers: list[Header]


@dataclass(slots=True)
class Stream:
    """Ticks in order of arrival; tick i arrived in its partition at offset ``arrivals[i]``.

    That is the tick's own offset, except for retried ticks, which keep their first one.
    """

    ticks: list[Tick] = field(default_factory=list)
    arrivals: list[int] = field(default_factory=list)

    def messages(self, topic: str) -> list[WireMessage]:
        """Return the messages that carry these ticks as JSON, in order of arrival."""
        return [
            to_message(topic, tick, arrival)
            for tick, arrival in zip(self.ticks, self.arrivals, strict=True)
        ]


def to_json_value(tick: Tick) -> bytes:
    """Return the JSON of a trade or quote; a field that the tick lacks is left out."""
    value: dict[str, str | int | float] = {
        "type": tick.kind,
        "symbol": tick.symbol,
        "ts_ns": tick.ts_ns,
    }
    if tick.kind == "trade":
        value |= {"price": tick.price, "size": tick.size}
    if tick.bid > 0:
        value |= {"bid": tick.bid, "bid_size": tick.bid_size}
    if tick.ask > 0:
        value |= {"ask": tick.ask, "ask_size": tick.ask_size}
    if tick.venue:
        value["venue"] = tick.venue
    if tick.condition:
        value["condition"] = tick.condition
    if tick.seq is not None:
        value["seq"] = tick.seq
    return orjson.dumps(value)


def to_message(topic: str, tick: Tick, arrival: int) -> WireMessage:
    """Return the Kafka message of a tick, a heartbeat or a retried tick."""
    place = (topic, tick.partition, arrival, tick.timestamp_ns)
    if tick.kind == "heartbeat":
        return WireMessage(
            *place, None, b"", [(HEARTBEAT_HEADER, tick.ts_ns.to_bytes(8, "big", signed=True))]
        )
    headers: list[Header] = []
    if tick.retried:
        origin = f"{topic}/{tick.partition}/{tick.offset}".encode()
        headers = [(ORIGIN_HEADER, origin), (RETRY_HEADER, b"1")]
    return WireMessage(*place, tick.symbol.encode(), to_json_value(tick), headers)


def reference_settings(partitions: int = 2) -> ReferenceSettings:
    """Return settings under which a short stream passes every border.

    The portfolios overlap, and no small whole multiples of their weights cancel: where
    w'Sw is nothing but rounding, two right answers can differ.
    """
    return ReferenceSettings(
        partitions=partitions,
        lateness_ns=SECOND_NS // 2,
        symbol_ttl_ns=20 * SECOND_NS,
        intervals_ns=(SECOND_NS, 5 * SECOND_NS),
        risk_interval_ns=SECOND_NS,
        excluded_conditions=frozenset({"odd"}),
        excluded_bits=0xC,
        confidences=(0.95, 0.99),
        horizons=(1, 10),
        min_observations=2,
        breach_confidence=0.9,
        portfolios={
            "all": {"AAA": 0.4142135623, "BB": 0.2360679774, "C.D": 0.3497184603},
            "pair": {"BB": 0.6180339887, "Ö": 0.3819660113},
        },
    )


Choose = Callable[[Sequence[T]], T]


def choose_step(choose: Choose[int], settings: ReferenceSettings) -> Step:
    """Return a step; ``choose`` picks one of a sequence of ints, the tamest first."""

    def pick(options: Sequence[T]) -> T:
        return options[choose(range(len(options)))]

    lateness_ns, ttl_ns = settings.lateness_ns, settings.symbol_ttl_ns
    short_ns, long_ns = min(settings.intervals_ns), max(settings.intervals_ns)
    small = (short_ns // 2, 0, 0, 0, 1, MILLISECOND_NS, short_ns // 10, short_ns)
    rare = (lateness_ns, long_ns, long_ns + lateness_ns, ttl_ns, ttl_ns + 1, 2 * ttl_ns, DAY_NS)
    within = (1, lateness_ns // 5, lateness_ns // 2)
    borders = (1, lateness_ns - 1, lateness_ns, lateness_ns + 1, short_ns, short_ns + lateness_ns)
    far_behind = (long_ns, long_ns + lateness_ns, ttl_ns // 2)
    levels = range(9990, 10011)
    return Step(
        kind=pick(("trade", "trade", "trade", "trade", "quote", "quote", "quote", "heartbeat")),
        symbol=pick((0, 0, 1, 1, 2, 3)),
        follows=pick((False, True)),
        venue=pick(VENUES),
        advance_ns=pick(pick((small,) * 11 + (rare,))),
        behind_ns=pick(
            pick((*[(0,)] * 4, within, within, borders, borders, far_behind, far_behind))
        ),
        snap=pick(("no", "no", "no", "no", "window start", "window end")),
        seq=pick(SEQ_MOVES),
        reach=pick(range(5)),
        condition=pick(CONDITIONS) if pick((False, False, True)) else "",
        cents=pick(levels),
        size=pick(TRADE_SIZES),
        bid_size=pick(QUOTE_SIZES),
        ask_cents=pick(levels),
        ask_size=pick(QUOTE_SIZES),
        sides=pick(("bid", "ask", "both")),
        retried=pick((False,) * 9 + (True,)),
        hole=pick((False,) * 15 + (True,)),
    )


class Builder:
    """Turns steps into a stream; keeps event time, offsets and sequence numbers."""

    def __init__(self, settings: ReferenceSettings) -> None:
        self.settings = settings
        self.stream = Stream()
        self.now_ns = START_NS
        self.next_offset = [0] * settings.partitions
        self.holes: list[list[int]] = [[] for _ in range(settings.partitions)]
        self.heads: dict[tuple[str, str, str], int] = {}
        self.symbol = 0
        self.swapped: tuple[Step, int] | None = None

    def add(self, step: Step) -> None:
        """Append the message of one step."""
        if step.follows:
            step = replace(step, symbol=self.symbol)
        if self.swapped is None:
            self.now_ns += step.advance_ns
            ts_ns = self._event_time(step)
        else:
            first, ts_ns = self.swapped
            step = replace(step, kind=first.kind, symbol=first.symbol, venue=first.venue)
            step = replace(step, seq="left out")
        self.symbol = step.symbol
        self.swapped = (step, ts_ns) if step.seq == "swap" else None
        symbol = SYMBOLS[step.symbol]
        partition = step.symbol % self.settings.partitions
        retried = step.retried and step.kind != "heartbeat"
        if step.hole or (retried and not self.holes[partition]):
            self.holes[partition].append(self._take_offset(partition))
        arrival = self._take_offset(partition)
        offset = self.holes[partition].pop(0) if retried else arrival
        timestamp_ns = -(-ts_ns // MILLISECOND_NS) * MILLISECOND_NS
        self.stream.arrivals.append(arrival)
        if step.kind == "heartbeat":
            self.stream.ticks.append(
                Tick(partition, offset, "heartbeat", ts_ns, timestamp_ns=timestamp_ns)
            )
            return
        trade = step.kind == "trade"
        bid = step.kind == "quote" and step.sides != "ask"
        ask = step.kind == "quote" and step.sides != "bid"
        self.stream.ticks.append(
            Tick(
                partition=partition,
                offset=offset,
                kind=step.kind,
                ts_ns=ts_ns,
                timestamp_ns=timestamp_ns,
                symbol=symbol,
                venue=step.venue,
                condition=step.condition if trade else "",
                price=step.cents / 100 if trade else 0.0,
                size=step.size if trade else 0.0,
                bid=step.cents // 5 * 5 / 100 if bid else 0.0,
                bid_size=step.bid_size if bid else 0.0,
                ask=step.ask_cents // 5 * 5 / 100 if ask else 0.0,
                ask_size=step.ask_size if ask else 0.0,
                seq=self._sequence(step, symbol),
                retried=retried,
            )
        )

    def _take_offset(self, partition: int) -> int:
        self.next_offset[partition] += 1
        return self.next_offset[partition] - 1

    def _event_time(self, step: Step) -> int:
        ts_ns = self.now_ns - step.behind_ns
        interval_ns = self.settings.nbbo_interval_ns
        if step.snap == "window start":
            return ts_ns - ts_ns % interval_ns
        if step.snap == "window end":
            return ts_ns - ts_ns % interval_ns + interval_ns - 1
        return ts_ns

    def _sequence(self, step: Step, symbol: str) -> int | None:
        stream = (symbol, step.venue, step.kind)
        head = self.heads.get(stream, 1000)
        oldest = head - WINDOW + 1
        seq = {
            "none": None,
            "next": head + 1,
            "skip": head + 2 + step.reach,
            "leap": head + WINDOW - 2 + step.reach,
            "repeat": head,
            "back": head - step.reach,
            "window edge": oldest,
            "too old": oldest - 1 - step.reach,
            "restart": 1 + step.reach,
            "swap": head + 2,
            "left out": head - 1,
        }[step.seq]
        if seq is None:
            return None
        seq = max(seq, 0)
        # The builder's own guess of the head: what the tests judge is not taken from here.
        self.heads[stream] = seq if step.seq == "restart" else max(head, seq)
        return seq


def build(steps: Sequence[Step], settings: ReferenceSettings) -> Stream:
    """Return the stream of these steps, with a heartbeat at the end of each partition."""
    builder = Builder(settings)
    for step in steps:
        builder.add(step)
    stream = builder.stream
    end_ns = builder.now_ns + 2 * max(settings.intervals_ns) + settings.lateness_ns
    end_ms = -(-end_ns // MILLISECOND_NS) * MILLISECOND_NS
    for partition, offset in enumerate(builder.next_offset):
        stream.ticks.append(Tick(partition, offset, "heartbeat", end_ns, timestamp_ns=end_ms))
        stream.arrivals.append(offset)
    return stream


@st.composite
def one_step(draw: st.DrawFn, settings: ReferenceSettings) -> Step:
    """Draw one step."""
    return choose_step(lambda options: draw(st.sampled_from(options)), settings)


@st.composite
def streams(
    draw: st.DrawFn, settings: ReferenceSettings, max_steps: int = 60, ended: bool = True
) -> Stream:
    """Draw a stream; ``ended`` says that heartbeats close the windows of every partition."""
    step = one_step(settings)
    short = st.lists(step, max_size=max_steps)
    # Lists of Hypothesis have about five elements unless their least size says otherwise.
    steps = draw(short | st.lists(step, min_size=max_steps // 2, max_size=max_steps))
    stream = build(steps, settings)
    if not ended:
        del stream.ticks[-settings.partitions :], stream.arrivals[-settings.partitions :]
    return stream


def random_stream(seed: int, count: int, settings: ReferenceSettings) -> Stream:
    """Return the same stream of ``count`` steps for the same seed."""
    generator = random.Random(seed)
    return build([choose_step(generator.choice, settings) for _ in range(count)], settings)
