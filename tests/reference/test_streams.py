"""The streams reach the borders they are for, and read back from their wire format."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import orjson
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from state.records import HEARTBEAT_HEADER, ORIGIN_HEADER, RETRY_HEADER
from tests.reference.compare import first_difference
from tests.reference.market import Partition, run
from tests.reference.streams import (
    MILLISECOND_NS,
    Stream,
    WireMessage,
    random_stream,
    reference_settings,
    streams,
)
from tests.reference.symbols import event_order
from tests.reference.vocabulary import Record, ReferenceSettings, Tick

SETTINGS = reference_settings()


def read_back(message: WireMessage) -> Tick:
    """Return the tick of a message, by the wire format's definition."""
    headers = dict(message.headers)
    place = Tick(message.partition, message.offset, "heartbeat", 0, 0, message.timestamp_ns)
    if not message.value:
        return replace(place, ts_ns=int.from_bytes(headers[HEARTBEAT_HEADER], "big", signed=True))
    value = orjson.loads(message.value)
    value["kind"] = value.pop("type")
    if RETRY_HEADER in headers:
        _, _, offset = headers[ORIGIN_HEADER].decode().rsplit("/", 2)
        value |= {"retried": True, "offset": int(offset)}
    return replace(place, **value)


@given(streams(SETTINGS))
@hypothesis_settings(max_examples=50)
def test_the_wire_carries_every_tick(stream: Stream) -> None:
    messages = stream.messages("t")
    assert [read_back(message) for message in messages] == stream.ticks
    assert all(message.timestamp_ns % MILLISECOND_NS == 0 for message in messages)
    assert all(tick.timestamp_ns >= tick.ts_ns for tick in stream.ticks)


@given(streams(SETTINGS))
@hypothesis_settings(max_examples=50)
def test_partitions_may_interleave_in_any_way(stream: Stream) -> None:
    by_partition = sorted(stream.ticks, key=lambda tick: tick.partition)
    assert first_difference(run(stream.ticks, SETTINGS), run(by_partition, SETTINGS), 0, 0) is None


@given(streams(SETTINGS, ended=False))
@hypothesis_settings(max_examples=50)
def test_offsets_of_arrival_grow_and_identities_are_unique(stream: Stream) -> None:
    identities = [(tick.partition, tick.offset) for tick in stream.ticks]
    assert len(identities) == len(set(identities))
    for partition in range(SETTINGS.partitions):
        arrivals = [
            arrival
            for tick, arrival in zip(stream.ticks, stream.arrivals, strict=True)
            if tick.partition == partition
        ]
        assert arrivals == sorted(set(arrivals))


def facts(outputs: dict[str, list[Record]]) -> Counter[str]:
    """Count the kinds of records that a comparison should meet."""
    found: Counter[str] = Counter({name: len(records) for name, records in outputs.items()})
    found.update(late["reason"] for late in outputs["late"])
    found.update(signal["scope"].split(":")[0] + signal["kind"] for signal in outputs["signals"])
    found.update(f"{risk['scope'].split(':')[0]} {risk['valid']}" for risk in outputs["risk"])
    return found


def test_a_random_stream_meets_every_kind_of_record() -> None:
    found = facts(run(random_stream(1, 3000, SETTINGS).ticks, SETTINGS))
    for fact in (
        *("bars", "nbbo", "gaps"),
        *("behind the watermark", "sequence too old", "window closed"),
        *("symbolbreach_down", "symbolbreach_up", "portfoliobreach_down", "portfoliobreach_up"),
        *("symbol True", "symbol False", "portfolio True", "portfolio False"),
    ):
        assert found[fact] >= 5, (fact, found)


def test_a_random_stream_holds_quotes_in_every_order() -> None:
    partitions = [Partition(SETTINGS) for _ in range(SETTINGS.partitions)]
    retried = {}
    for tick in random_stream(1, 3000, SETTINGS).ticks:
        partitions[tick.partition].take(tick)
        retried[tick.partition, tick.offset] = tick.retried
    found = Counter[str]()
    for partition in partitions:
        for late in partition.outputs["late"]:
            again = retried[late["partition"], late["offset"]]
            found["retried, behind"] += again and late["reason"] == "behind the watermark"
        for life in partition.lives:
            found["retried, held"] += sum(quote.retried for quote in life.quotes)
            found.update(order_of(*pair) for pair in itertools.pairwise(life.quotes))
    for fact in (
        *("older, of another venue", "older, numbered, of its venue"),
        *("swapped numbers", "retried, behind", "retried, held"),
    ):
        assert found[fact] >= 5, (fact, found)


def order_of(quote: Tick, arrived_next: Tick) -> str:
    """Return how two held quotes of a symbol that arrived one after the other lie in time."""
    numbered = quote.seq is not None and arrived_next.seq is not None
    if arrived_next.ts_ns < quote.ts_ns:
        if arrived_next.venue != quote.venue:
            return "older, of another venue"
        return "older, numbered, of its venue" if numbered else "older, of its venue"
    if event_order(arrived_next) < event_order(quote) and arrived_next.venue == quote.venue:
        return "swapped numbers"
    return "in order"


def test_a_random_stream_outlives_symbols_and_holds_duplicates() -> None:
    stream = random_stream(1, 3000, SETTINGS)
    immortal = replace(SETTINGS, symbol_ttl_ns=10**9 * SETTINGS.symbol_ttl_ns)
    assert run(stream.ticks, SETTINGS) != run(stream.ticks, immortal)
    unnumbered = [replace(tick, seq=None) for tick in stream.ticks]
    assert traded(stream.ticks, SETTINGS) < traded(unnumbered, SETTINGS)


def traded(ticks: list[Tick], settings: ReferenceSettings) -> int:
    """Return how many trades the bars of the shortest interval hold."""
    bars = run(ticks, settings)["bars"]
    return sum(bar["trades"] for bar in bars if bar["interval"] == "1s")


def test_the_same_seed_gives_the_same_stream() -> None:
    assert random_stream(3, 50, SETTINGS) == random_stream(3, 50, SETTINGS)
    assert random_stream(3, 50, SETTINGS) != random_stream(4, 50, SETTINGS)


def test_a_difference_is_told() -> None:
    record = {"id": "a", "var": 0.1, "components": {"x": 1.0}}
    near = {"id": "a", "var": 0.1 + 1e-16, "components": {"x": 1.0}}
    far = {"id": "a", "var": 0.1, "components": {"x": 1.1}}
    assert first_difference({"risk": [record]}, {"risk": [near]}) is None
    assert first_difference({"risk": [record]}, {"risk": [far]}) is not None
    assert first_difference({"risk": [record]}, {"risk": []}) is not None
    assert first_difference({}, {"risk": [record]}) is not None
    assert first_difference({"late": [{"n": 1}]}, {"late": [{"n": 1.0}]}) is not None
