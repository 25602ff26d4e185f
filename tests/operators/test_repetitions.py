"""What came before is known again, whatever is sequenced twice and however often."""

from __future__ import annotations

from operators.repetitions import Repetitions
from tests.flows.sequences import row


def test_a_message_counts_once():
    seen = Repetitions()
    offsets = [0, 1, 2, 1, 2, 3, 0, 3, 4]
    assert [offset for offset in offsets if seen.is_new(row(offset))] == [0, 1, 2, 3, 4]


def test_partitions_and_topics_count_by_themselves():
    seen = Repetitions()
    rows = [row(5), row(5, partition=1), row(5, topic="market.control"), row(5)]
    assert [seen.is_new(each) for each in rows] == [True, True, True, False]


def test_offsets_may_have_holes():
    seen = Repetitions()
    assert [seen.is_new(row(offset)) for offset in (3, 9, 8, 10)] == [True, True, False, True]


def test_a_record_that_its_flow_wrote_twice_counts_once():
    seen = Repetitions()
    written = [(0, "1/0", 1), (1, "1/0", 2), (2, "1/0", 1), (3, "1/0", 2), (4, "1/0", 3)]
    found = [o for o, run, n in written if seen.is_new(row(o, run=run, counter=n))]
    assert found == [0, 1, 4]
    assert not seen.is_new(row(2, run="1/0", counter=9))  # the repetition itself was noted


def test_runs_and_origins_count_by_themselves():
    seen = Repetitions()
    runs = ["1/0", "2/0", "1/merge"]
    assert all(seen.is_new(row(o, run=run, counter=7)) for o, run in enumerate(runs))


def test_a_snapshot_knows_it_too():
    seen, restored = Repetitions(), Repetitions()
    seen.is_new(row(4, run="1/0", counter=4))
    restored.restore(seen.snapshot())
    assert not restored.is_new(row(4))
    assert not restored.is_new(row(5, run="1/0", counter=4))
    assert seen.is_new(row(5))  # what happened to the copy is no business of the first
