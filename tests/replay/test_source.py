import contextlib
from collections import defaultdict

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, run_main

from connectors.pacing import Pacing
from replay.interleave import Speed
from replay.recording import Recording
from replay.source import Pace, RecordingSource
from state.errors import Misuse
from state.records import Messages
from state.shards import shard_names
from tests.replay.recordings import message, write

S = 1_000_000_000


class Block:
    def __init__(self, messages: Messages) -> None:
        self.messages = messages
        self.ranges = messages.ranges
        self.newest: dict[int, int] = {}
        self.least: dict[int, int] = {}
        rows = zip(messages.partition.tolist(), messages.timestamp_ns.tolist(), strict=True)
        for partition, ns in rows:
            self.newest[partition] = max(self.newest.get(partition, 0), ns)

    def __len__(self) -> int:
        return len(self.messages)


@pytest.fixture
def recording(tmp_path):
    """Five partitions of different density; partition 4 is empty."""
    counts = [40, 10, 25, 1]
    messages = [
        message(n, p, timestamp_ns=n * 1000 * S // count)
        for p, count in enumerate(counts)
        for n in range(count)
    ]
    return Recording([write(tmp_path / "a", {"t": 5}, messages)])


def source(recording, shards=2, batch=4, skew_ns=10**18, speed=None):
    pace = Pace(batch, Pacing(recording.partitions["t"], skew_ns), speed)
    return RecordingSource(recording, "t", shards, Block, pace)


def drain(part):
    blocks = []
    while True:
        try:
            blocks += part.next_batch()
        except StopIteration:
            return blocks


def rows(blocks):
    """Return the offsets of each partition, in the order in which they came."""
    found = defaultdict(list)
    for _, block in blocks:
        m = block.messages
        for partition, offset in zip(m.partition.tolist(), m.offset.tolist(), strict=True):
            found[partition].append(offset)
    return dict(found)


@pytest.mark.parametrize("batch", [1, 7, 4096])
@pytest.mark.parametrize("shards", [1, 2, 7])
def test_every_message_comes_once_in_offset_order(recording, shards, batch):
    out: list[tuple[str, Block]] = []
    flow = Dataflow("f")
    op.output("out", op.input("in", flow, source(recording, shards, batch)), TestingSink(out))
    run_main(flow)
    assert rows(out) == {
        0: list(range(40)),
        1: list(range(10)),
        2: list(range(25)),
        3: [0],
    }
    assert max(len(block.messages) for _, block in out) <= batch


def test_a_shard_reads_the_partitions_that_it_owns_live(recording):
    names = shard_names(2)
    parts = source(recording, 2)
    assert parts.list_parts() == names
    assert set(rows(drain(parts.build_part("s", names[0], None)))) == {0, 2}
    blocks = drain(parts.build_part("s", names[1], None))
    assert set(rows(blocks)) == {1, 3}
    assert {name for name, _ in blocks} == {names[1]}


def test_partitions_advance_together_by_timestamp(recording):
    part = source(recording, 1, batch=4).build_part("s", shard_names(1)[0], None)
    reached = 0
    for _, block in drain(part):
        times = block.messages.timestamp_ns
        assert times.min() >= reached - 200 * S
        reached = max(reached, int(times.max()))


def test_a_snapshot_resumes_after_what_was_read(recording):
    name = shard_names(1)[0]
    first = source(recording, 1, batch=3).build_part("s", name, None)
    before = [block for _ in range(9) for block in first.next_batch()]
    state = first.snapshot()
    after = drain(source(recording, 1, batch=5).build_part("s", name, state))
    whole = rows(drain(source(recording, 1).build_part("s", name, None)))
    read, left = rows(before), rows(after)
    assert {p: read.get(p, []) + left.get(p, []) for p in whole} == whole


def test_ranges_join_without_a_gap(tmp_path):
    recording = Recording([write(tmp_path / "a", {"t": 1}, [message(n) for n in (3, 5, 9, 10)])])
    part = source(recording, 1, batch=1).build_part("s", shard_names(1)[0], None)
    ranges = [block.messages.ranges[0] for _, block in drain(part)]
    assert ranges == [(0, 4), (4, 6), (6, 10), (10, 11)]


def test_a_partition_far_ahead_of_the_others_waits(tmp_path):
    fast = [message(n, 0, timestamp_ns=n * S) for n in range(100)]
    slow = [message(n, 1, timestamp_ns=n * S) for n in range(100)]
    recording = Recording([write(tmp_path / "a", {"t": 2}, fast + slow)])
    both = source(recording, 2, batch=1, skew_ns=5 * S)
    one, two = (both.build_part("s", name, None) for name in shard_names(2))
    two.next_batch()
    read = sum(len(one.next_batch()) for _ in range(50))
    assert read < 10
    for _ in range(300):
        for part in (one, two):
            with contextlib.suppress(StopIteration):
                read += len(part.next_batch())
    assert read + 1 == 200


def test_an_ended_partition_holds_nobody_back(tmp_path):
    messages = [message(0, 0)] + [message(n, 1) for n in range(50)]
    recording = Recording([write(tmp_path / "a", {"t": 3}, messages)])
    part = source(recording, 1, batch=1, skew_ns=S).build_part("s", shard_names(1)[0], None)
    assert len(rows(drain(part))[1]) == 50


def test_speed_holds_back_what_is_not_due(recording):
    clock = [1000 * S]
    speed = Speed(10.0, recording.first_ns, clock[0], lambda: clock[0])
    part = source(recording, 1, batch=4096, speed=speed).build_part("s", shard_names(1)[0], None)
    ((_, first),) = part.next_batch()
    assert first.messages.timestamp_ns.tolist() == [0, 0, 0, 0]
    assert part.next_batch() == []
    assert part.next_awake().timestamp() == 1000 + 25 / 10
    clock[0] += 10 * S
    ((_, second),) = part.next_batch()
    assert second.messages.timestamp_ns.max() == 100 * S


def test_each_shard_decodes_with_a_decoder_of_its_own(recording):
    class Decoder:
        def __init__(self):
            self.seen = []

        def decode(self, messages):
            self.seen.append(len(messages))
            return Block(messages)

    decoder = Decoder()
    pace = Pace(4, Pacing(5, 10**18))
    parts = RecordingSource(recording, "t", 2, decoder.decode, pace)
    for name in shard_names(2):
        drain(parts.build_part("s", name, None))
    assert decoder.seen == []


def test_a_topic_that_is_not_recorded_is_misuse(recording):
    pace = Pace(4, Pacing(5, 10**18))
    with pytest.raises(Misuse, match="holds t, not u"):
        RecordingSource(recording, "u", 2, Block, pace)
