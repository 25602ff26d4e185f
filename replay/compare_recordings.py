"""Compare two recordings, message by message; nothing of a message's content is shown."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

from replay.compare import Difference
from replay.message import Message
from replay.recording import Recording
from replay.sealed import Keys


def compare_recordings(left: Path, right: Path, keys: Keys) -> dict[str, Difference | None]:
    """Return the first difference of each topic-partition, or None; ``line`` counts its messages.

    Sealed recordings are compared by what is in them. Raises Misuse, DamagedSeal.
    """
    one, two = Recording([left], keys), Recording([right], keys)
    places = sorted(_places(one) | _places(two))
    return {f"{topic}[{number}]": _first(one, two, topic, number) for topic, number in places}


def _places(recording: Recording) -> set[tuple[str, int]]:
    counts = recording.partitions.items()
    return {(topic, number) for topic, count in counts for number in range(count)}


def _first(one: Recording, two: Recording, topic: str, number: int) -> Difference | None:
    name = f"{topic}[{number}]"
    held = [number < each.partitions.get(topic, 0) for each in (one, two)]
    if not all(held):
        return Difference(name, 0, *("(it is there)" if each else None for each in held))
    pairs = zip_longest(one.partition(topic, number), two.partition(topic, number))
    for line, (a, b) in enumerate(pairs, start=1):
        if a is None or b is None or _differing(a, b):
            return Difference(name, line, _told(a, b), _told(b, a))
    return None


def _differing(a: Message, b: Message) -> list[str]:
    # Headers are a list in one message and a tuple without any in another one.
    fields = zip(Message._fields, a._replace(headers=list(a.headers)), strict=True)
    other = b._replace(headers=list(b.headers))
    return [name for name, value in fields if value != getattr(other, name)]


def _told(message: Message | None, other: Message | None) -> str | None:
    if message is None:
        return None
    place = f"offset {message.offset}, timestamp_ns {message.timestamp_ns}"
    return (
        place if other is None else f"{place}; not equal: {', '.join(_differing(message, other))}"
    )
