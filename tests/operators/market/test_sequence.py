"""Numbers against their definition, under every rule for when they begin again."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from operators.market.kernels import sequence as kernel
from operators.market.lookup import Lookup
from operators.market.sequence import NUMBERINGS
from state.clock import NS
from tests.reference.sequences import QUIET_NS, WINDOW, SequenceStream
from tests.reference.vocabulary import DAY_NS, ReferenceSettings

NEW, DUPLICATE, TOO_OLD = "new", "duplicate", "too old"
MIDNIGHT_NS = 19_787 * DAY_NS
HOUR_NS = 3600 * NS
Numbered = tuple[int, int]
"""Event time (ns) and sequence number."""


def judged(
    rows: Sequence[Numbered], ours: ReferenceSettings, cut: int = 4096
) -> list[tuple[str, tuple[int, int] | None]]:
    """Return the kernel's verdicts and gaps for the ticks of one stream, ``cut`` a block."""
    lookup, streams = Lookup(), np.zeros((len(rows), kernel.COLUMNS), np.int64)
    lookup.reserve(len(rows))
    borders = np.array(ours.session_borders_ns, np.int64)
    rules = NUMBERINGS[ours.sequences], borders, ours.sequence_restart_after
    found: list[tuple[str, tuple[int, int] | None]] = []
    for first in range(0, len(rows), cut):
        ts_ns, seq = (np.array(c, np.int64) for c in zip(*rows[first : first + cut], strict=True))
        none = np.zeros(len(seq), np.int32)
        verdict, before = np.empty(len(seq), np.uint8), np.empty(len(seq), np.int64)
        lookup.count = kernel.judge(
            (none, none, none.astype(np.uint8), seq, ts_ns),
            (lookup.keys, lookup.values, lookup.entry_key),
            lookup.count,
            streams,
            rules,
            verdict,
            before,
        )
        words = {kernel.NEW: NEW, kernel.GAP: NEW, kernel.DUPLICATE: DUPLICATE}
        for each, head, number in zip(verdict.tolist(), before.tolist(), seq.tolist(), strict=True):
            gap = (head + 1, number - 1) if each == kernel.GAP else None
            found.append((words.get(each, TOO_OLD), gap))
    return found


def defined(
    rows: Sequence[Numbered], ours: ReferenceSettings
) -> list[tuple[str, tuple[int, int] | None]]:
    stream = SequenceStream(ours)
    return [stream.judge(seq, ts_ns) for ts_ns, seq in rows]


def rules(seed: int) -> ReferenceSettings:
    rng = random.Random(seed)
    return ReferenceSettings(
        sequences=rng.choice(["daily", "session", "continuous"]),
        session_borders_ns=tuple(MIDNIGHT_NS + h * HOUR_NS for h in (-5, 3, 4, 20, 40)),
        sequence_restart_after=rng.choice([0, 0, 1, 2, 3]),
    )


def numbered(seed: int, count: int = 400) -> list[Numbered]:
    """Return ticks that begin again, leap, come twice, too late and from before a border."""
    rng = random.Random(seed)
    rows: list[Numbered] = []
    now, head = MIDNIGHT_NS - 2 * HOUR_NS, rng.choice([1, 100, 1000])
    while len(rows) < count:
        now += rng.choice([0, 0, 1, NS, NS, 60 * NS, QUIET_NS - 1, QUIET_NS, 9 * HOUR_NS, DAY_NS])
        match rng.choice("nnnnnnnnrrsslbbtp"):
            case "n":
                head += rng.choice([1, 1, 1, 2, 5])
            case "r":
                head = rng.choice([1, 1, 2, 50])
            case "s" if rows:  # sent again, as old as it was
                rows.append(rng.choice(rows[-9:]))
                continue
            case "l":
                head += WINDOW + rng.randrange(-2, 3)
            case "p":
                rows.append((now, 2**62))
                continue
        behind = rng.choice([0, 0, 0, 1, NS, HOUR_NS, 3 * HOUR_NS])
        lower = rng.choice([0, 0, 0, 1, 2, WINDOW - 1, WINDOW, WINDOW + 1])
        rows.append((now - behind, max(0, head - lower)))
    return rows


@pytest.mark.parametrize("seed", range(60))
def test_the_kernel_equals_the_definition(seed: int) -> None:
    rows, ours = numbered(seed), rules(seed)
    assert judged(rows, ours, cut=1 + seed % 9) == defined(rows, ours)


def test_the_random_streams_meet_every_case() -> None:
    seen: set[Any] = set()
    for seed in range(60):
        ours = rules(seed)
        for verdict, gap in defined(numbered(seed), ours):
            seen.add((ours.sequences, ours.sequence_restart_after > 0, verdict, gap is not None))
    wanted = [
        (how, restarts, verdict, gap)
        for how in NUMBERINGS
        for restarts in (False, True)
        for verdict, gap in ((NEW, False), (NEW, True), (DUPLICATE, False), (TOO_OLD, False))
    ]
    assert set(wanted) == seen


def kept(rows: Sequence[Numbered], ours: ReferenceSettings) -> int:
    found = judged(rows, ours)
    assert found == defined(rows, ours)
    return sum(verdict == NEW for verdict, _ in found)


def test_few_ticks_a_day_are_not_taken_for_those_of_the_day_before() -> None:
    days = [(MIDNIGHT_NS + day * DAY_NS + n * NS, n) for day in range(3) for n in (1, 2, 3)]
    assert kept(days, ReferenceSettings()) == 9
    assert kept([row for row in days for _ in range(2)], ReferenceSettings()) == 9


def test_a_session_that_spans_midnight_is_one_numbering() -> None:
    evening = MIDNIGHT_NS - HOUR_NS
    sessions = [
        (evening + day * DAY_NS + n * 20 * NS, n) for day in range(2) for n in range(1, 1001)
    ]
    assert kept(sessions, ReferenceSettings()) == 2000
    borders = (evening - HOUR_NS, evening + 20 * HOUR_NS)
    by_session = ReferenceSettings(sequences="session", session_borders_ns=borders)
    assert kept(sessions, by_session) == 2000
    assert kept(sessions, ReferenceSettings(sequences="continuous")) < 2000


def test_a_tick_of_before_a_restart_is_judged_by_the_numbers_of_before() -> None:
    rows = [
        (MIDNIGHT_NS - 2 * NS, 99_999),
        (MIDNIGHT_NS + 1, 1),
        (MIDNIGHT_NS - 1, 100_000),
        (MIDNIGHT_NS - 1, 100_000),
        (MIDNIGHT_NS + 2, 2),
    ]
    verdicts = judged(rows, ReferenceSettings())
    assert verdicts == [(NEW, None), (NEW, None), (NEW, None), (DUPLICATE, None), (NEW, None)]


def test_one_wrong_number_costs_as_many_ticks_as_the_setting_says() -> None:
    rows = [(MIDNIGHT_NS + n * NS, n if n != 50 else 2**62) for n in range(1, 1000)]
    assert kept(rows, ReferenceSettings()) == 50, "the stream of the day is too old"
    assert kept(rows, ReferenceSettings(sequence_restart_after=3)) == 999 - 2
    again = sorted(rows + rows[60:100])
    assert kept(again, ReferenceSettings(sequence_restart_after=3)) == 999 - 2
    late = [*rows[:500], *rows[100:400], *rows[500:]]  # sent again, old and in a row
    assert kept(late, ReferenceSettings(sequence_restart_after=3)) == 999 - 2


def test_lines_that_send_each_tick_twice_begin_again_too() -> None:
    head = [(MIDNIGHT_NS, 100_000)]
    anew = [(MIDNIGHT_NS + n * NS, n) for n in range(1, 100)]
    twice = [row for row in anew for _ in range(2)]
    for after in (2, 3, 4):
        ours = ReferenceSettings(sequence_restart_after=after)
        assert kept(head + twice, ours) == 1 + 99 - (after - 1)
        again = [*anew[:2], *anew[:2], *anew[2:]]
        taken_in_late = after == 2  # what was set aside before it was known, and comes once more
        assert kept(head + again, ours) == 1 + 99 - (after - 1) + taken_in_late


def test_ticks_of_one_time_that_are_sent_again_are_no_restart() -> None:
    rows = [(MIDNIGHT_NS, n) for n in range(1, 601)]
    assert kept(rows + rows, ReferenceSettings(sequence_restart_after=3)) == 600


def test_a_straggler_behind_a_restart_is_one_of_before() -> None:
    at = [MIDNIGHT_NS + n * NS for n in (0, 10, 11, 12, 1, 13, 14)]
    rows = list(zip(at, (1000, 1, 2, 3, 1001, 4, 5), strict=True))
    verdicts = judged(rows, ReferenceSettings(sequence_restart_after=3))
    assert verdicts == defined(rows, ReferenceSettings(sequence_restart_after=3))
    assert [verdict for verdict, _ in verdicts] == [NEW, TOO_OLD, TOO_OLD, NEW, NEW, NEW, NEW]
    assert not any(gap for _, gap in verdicts)


def test_a_feed_that_connects_anew_loses_no_more_than_the_setting_says() -> None:
    rows = [(MIDNIGHT_NS + n * NS, (n - 1) % 100 + 1) for n in range(1, 1000)]
    assert kept(rows, ReferenceSettings(sequence_restart_after=3)) == 999 - 9 * 2
