"""The pacing rule of contract 4."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from connectors.pacing import Pacing


def test_a_partition_waits_from_beyond_the_skew_until_half_of_it():
    pacing = Pacing(2, 100)
    pacing.update(0, 1000)
    pacing.update(1, 1100)
    assert not pacing.paused(1)
    pacing.update(1, 1101)
    assert pacing.paused(1)
    pacing.update(0, 1050)
    assert pacing.paused(1)
    pacing.update(0, 1051)
    assert not pacing.paused(1)


def test_the_slowest_partition_never_waits():
    pacing = Pacing(3, 0)
    for partition, newest in enumerate((5, 7, 9)):
        pacing.update(partition, newest)
    assert [pacing.paused(p) for p in range(3)] == [False, True, True]


def test_a_silent_partition_counts_from_the_first_time_seen_anywhere():
    pacing = Pacing(2, 100)
    assert not pacing.paused(0)
    pacing.update(0, 5000)
    pacing.update(0, 5100)
    assert not pacing.paused(0)
    pacing.update(0, 5101)
    assert pacing.paused(0)
    assert not pacing.paused(1)
    assert pacing.holding() == [1]
    pacing.update(1, 5090)
    assert not pacing.paused(0)
    assert pacing.holding() == []


def test_a_late_record_moves_nothing_back():
    pacing = Pacing(2, 100)
    pacing.update(0, 1000)
    pacing.update(1, 1200)
    pacing.update(1, 1000)
    assert pacing.newest(1) == 1200
    assert pacing.paused(1)


def test_another_process_s_partition_goes_back_with_its_snapshot():
    pacing = Pacing(2, 100)
    pacing.update(0, 1000)
    pacing.learn(1, 1000)
    assert not pacing.paused(0)
    pacing.learn(1, 800)
    assert pacing.paused(0)


def test_only_the_partitions_far_behind_hold_the_others():
    pacing = Pacing(4, 100)
    for partition, newest in enumerate((1000, 1020, 1090, 1101)):
        pacing.update(partition, newest)
        pacing.paused(partition)
    assert pacing.paused(3)
    assert pacing.waiting()
    assert pacing.holding() == [0, 1]


def test_a_partition_with_some_records_ahead_does_not_wait():
    pacing = Pacing(2, 100)
    pacing.update(0, 1000)
    pacing.update(1, 5000, 1010)
    assert not pacing.paused(1)
    pacing.update(1, 5010, 1101)
    assert pacing.paused(1), "all of its last ones are ahead"
    pacing.update(1, 5020, 1040)
    assert not pacing.paused(1)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1000)), max_size=60), st.integers(0, 300)
)
def test_who_waits_follows_from_the_definition(updates, skew):
    pacing = Pacing(4, skew)
    newest: dict[int, int] = {}
    waits: set[int] = set()
    for partition, time_ns in updates:
        newest[partition] = max(time_ns, newest.get(partition, time_ns))
        pacing.update(partition, time_ns)
        first = updates[0][1]
        low = min(newest.get(p, first) for p in range(4))
        for p, at in newest.items():
            ahead = at - low
            if ahead > skew or (p in waits and ahead > skew // 2):
                waits.add(p)
            else:
                waits.discard(p)
        assert {p for p in range(4) if pacing.paused(p)} == waits
