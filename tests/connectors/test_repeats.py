"""What was taken in lately is known, within the window and the bound."""

from __future__ import annotations

import random

from connectors.repeats import Repeats, digest_of

A, B, C = (digest_of(each) for each in (b"a", b"b", b"c"))


def test_what_was_added_is_known_until_the_window_has_passed():
    repeats = Repeats(window_ns=10, most=100)
    repeats.add(A, 5)
    assert repeats.has(A, 14)
    assert not repeats.has(B, 14)
    assert not repeats.has(A, 15)
    assert len(repeats) == 0


def test_the_oldest_goes_where_there_are_too_many():
    repeats = Repeats(window_ns=10, most=2)
    for time_ns, digest in enumerate((A, B, A, C)):
        repeats.add(digest, time_ns)
    assert [repeats.has(digest, 4) for digest in (A, B, C)] == [False, True, True]
    assert len(repeats) == 2


def test_a_clock_that_goes_back_forgets_nothing_early():
    repeats = Repeats(window_ns=10, most=100)
    repeats.add(A, 100)
    repeats.add(B, 50)
    assert repeats.has(B, 109)
    assert not repeats.has(B, 110)


def test_what_is_restored_in_any_order_is_what_was_added_in_order():
    rng = random.Random(3)
    given = [(rng.randrange(1000), digest_of(b"%d" % rng.randrange(60))) for _ in range(300)]
    restored, added = Repeats(500, 40), Repeats(500, 40)
    restored.restore(given)
    for time_ns, digest in sorted(given):
        added.add(digest, time_ns)
    for number in range(60):
        digest = digest_of(b"%d" % number)
        assert restored.has(digest, 1000) == added.has(digest, 1000)
    assert 0 < len(restored) <= 40
