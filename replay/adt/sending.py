"""How a simulated hospital's messages arrive: late, out of order, and some of them twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from pathlib import Path
from random import Random
from typing import NamedTuple

from connectors.adt.envelope import ALONE, TOPIC, Domains
from replay.adt.hospital import Hospital
from replay.adt.people import BEGIN, DAY_S, HOUR_S, MINUTE_S
from replay.adt.segments import FACILITY, RESULTS, header
from replay.keyed import KeyedWriter
from replay.sealed import Protection
from replay.writer import RecordingWriter
from state.clock import NS

BEGIN_NS = int(BEGIN.timestamp()) * NS
LATE, VERY_LATE = 0.02, 0.002
"""Shares that arrive hours and days after they were recorded; the others take seconds."""
SAME_BYTES, OTHER_ENVELOPE = 0.01, 0.005
"""Shares that are sent again within hours."""


class Sent(NamedTuple):
    """A message as it is sent; times are seconds since `people.BEGIN`."""

    arrival_s: int
    number: int
    recorded_s: int
    value: bytes

    @property
    def timestamp_ns(self) -> int:
        """The recorded time, ns since 1970."""
        return BEGIN_NS + self.recorded_s * NS


def sent(hospital: Hospital, seed: int, count: int) -> Iterator[Sent]:
    """Yield the first ``count`` messages of a hospital, repetitions among them, as they arrive."""
    copies = _copies(hospital, Random(f"sending {seed}"))  # noqa: S311  # the same order each time
    under_way: list[Sent] = []
    for number, (made_s, copy) in zip(range(count), copies, strict=False):
        heappush(under_way, copy._replace(number=number))
        while under_way[0].arrival_s <= made_s:
            yield heappop(under_way)
            if not under_way:
                break
    while under_way:
        yield heappop(under_way)


def record_hospital(
    seed: int,
    count: int,
    out: Path,
    partitions: int,
    protection: Protection,
    domains: Domains = ALONE,
    advance: Callable[[int], None] = lambda count: None,
) -> int:
    """Write the messages of a hospital as a recording; return their number, without heartbeats.

    The key is the merge domain, and the timestamp the recorded time. ``advance`` is told the
    messages.
    """
    key = domains.get(FACILITY, FACILITY).encode()
    with RecordingWriter(out, {TOPIC: partitions}, protection) as writer:
        keyed = KeyedWriter(writer, TOPIC, partitions)
        for message in sent(Hospital(seed), seed, count):
            keyed.add(key, message.timestamp_ns, message.value)
            advance(1)
        keyed.end()
    return keyed.count


def _copies(hospital: Hospital, rng: Random) -> Iterator[tuple[int, Sent]]:
    """Yield when the hospital had come so far, and each message, once or twice."""
    control = 0
    for made in hospital.messages():
        control += 1
        first_s = made.recorded_s
        arrival_s = first_s + _delay_s(rng)
        value = _enveloped(made.trigger, first_s, control, made.body)
        yield made.made_s, Sent(arrival_s, 0, first_s, value)
        again = rng.random()
        if again < SAME_BYTES:
            later_s = arrival_s + rng.randrange(1, HOUR_S)
            yield made.made_s, Sent(later_s, 0, first_s, value)
        elif again < SAME_BYTES + OTHER_ENVELOPE:
            control += 1
            later_s = arrival_s + rng.randrange(MINUTE_S, 4 * HOUR_S)
            value = _enveloped(made.trigger, later_s, control, made.body)
            # A result has no other recorded time than that of its envelope.
            recorded_s = later_s if made.trigger == RESULTS else first_s
            yield made.made_s, Sent(later_s, 0, recorded_s, value)


def _enveloped(trigger: str, sent_s: int, control: int, body: str) -> bytes:
    return f"{header(trigger, sent_s, control)}\r{body}\r".encode()


def _delay_s(rng: Random) -> int:
    """Return how long a message is under way."""
    late = rng.random()
    if late < VERY_LATE:
        return rng.randrange(DAY_S, 4 * DAY_S)
    return rng.randrange(HOUR_S, 8 * HOUR_S) if late < VERY_LATE + LATE else rng.randrange(1, 9)
