"""The contract of every sink: it obeys retraction, carries sealed bytes, and twice is once.

A sink joins by being listed in test_sinks.py.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from hypothesis import strategies as st

from state.outputs import Output, to_json
from state.records import OutputBatch
from state.retraction import retraction
from state.sealing import Keyring, Seal

PLAIN = Output("wards", "beds", "ts_ns", (), key=("bed",))
CANARY = "Canary Wharf"
"""A text in every record that must not be found where the records are sealed."""
KEYRING = Keyring({"k1": b"1" * 32}, "k1", b"i" * 32)
SEAL = Seal(KEYRING)


class Place(Protocol):
    """Where a sink writes, and what can be read from it."""

    def write(self, batches: list[OutputBatch]) -> None:
        """Write batches as the sink does, and wait until they rest."""

    def lines(self) -> list[bytes]:
        """Return the values of all records."""

    def table(self) -> list[bytes] | None:
        """Return the last value of each key, by key; None where the sink keeps no table."""


@dataclass(frozen=True)
class Step:
    """One record of one key; of one of two origins, by the key."""

    key: str
    retracted: bool

    @property
    def origin(self) -> str:
        return str(ord(self.key[0]) % 2)


steps = st.lists(st.builds(Step, st.sampled_from("abcd"), st.booleans()), min_size=1, max_size=40)


def cuts(sequence: list[Step]) -> st.SearchStrategy[list[int]]:
    """Return strategies of places at which a sequence is cut into batches."""
    return st.lists(st.integers(0, len(sequence)), max_size=8).map(sorted)


def batches(sequence: list[Step], at: list[int], seal: Seal | None = None) -> list[OutputBatch]:
    """Return the batches of a sequence that is cut ``at`` places; origins apart, as in a flow."""
    made: list[OutputBatch] = []
    counters = Counter[str]()
    for start, end in zip([0, *at], [*at, len(sequence)], strict=True):
        for origin in ("0", "1"):
            part = [(n, s) for n, s in enumerate(sequence[start:end], start) if s.origin == origin]
            if part:
                made.append(_batch(part, origin, counters[origin] + 1))
                counters[origin] += len(part)
    return [seal.batch(PLAIN, batch) for batch in made] if seal else made


def expected(made: list[OutputBatch]) -> dict[str, bytes]:
    """Return the table of batches: the reference, a dict."""
    table: dict[str, bytes] = {}
    for batch in made:
        for row, (key, value) in enumerate(zip(batch.keys, batch.values, strict=True)):
            if row in batch.retracted:
                table.pop(key, None)
            else:
                table[key] = value
    return table


def check(place: Place, made: list[OutputBatch], again: int) -> None:
    """Check a fresh place: all is there once, though what follows batch ``again`` came twice."""
    place.write(made)
    for batch in made[again:]:
        place.write(_overlapping(batch))
    assert sorted(place.lines()) == sorted(value for batch in made for value in batch.values)
    table = expected(made)
    found = place.table()
    assert found is None or found == [table[key] for key in sorted(table)]


def canaries(sequence: list[Step]) -> Iterator[bytes]:
    """Return every text that must not rest in clear: content, ids, keys; in base64 too."""
    yield CANARY.encode()
    for step in sequence:
        yield _key(step).encode()
    for shift in range(3):  # base64 of a text looks different at each place modulo 3
        yield base64.b64encode(b"x" * shift + CANARY.encode())[4:-4]


def _batch(part: list[tuple[int, Step]], origin: str, first: int) -> OutputBatch:
    rows = [(n, f"visit:{n}", _key(step), step) for n, step in part]
    values = [
        retraction(PLAIN, n, identity, key)
        if step.retracted
        else {"id": identity, "key": key, "ts_ns": n, "note": f"{CANARY} {n}"}
        for n, identity, key, step in rows
    ]
    return OutputBatch(
        output=PLAIN.name,
        origin=origin,
        first=first,
        times_ns=[n for n, _, _, _ in rows],
        ids=[identity for _, identity, _, _ in rows],
        keys=[key for _, _, key, _ in rows],
        values=[to_json(value) for value in values],
        retracted=frozenset(row for row, each in enumerate(rows) if each[3].retracted),
    )


def _key(step: Step) -> str:
    return f"patient {step.key}"


def _overlapping(batch: OutputBatch) -> list[OutputBatch]:
    """Return what an epoch that is played again may write: the batch, cut another way."""
    return [
        replace(
            batch,
            first=batch.first + row,
            times_ns=[batch.times_ns[row]],
            ids=[batch.ids[row]],
            keys=[batch.keys[row]],
            values=[batch.values[row]],
            retracted=frozenset({0} if row in batch.retracted else ()),
        )
        for row in range(len(batch))
    ]
