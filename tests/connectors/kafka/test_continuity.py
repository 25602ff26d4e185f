"""A topic that is not what was read any more stops the flow, which says what happened."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from confluent_kafka import TopicPartition

from connectors.kafka import group
from connectors.kafka.client import Cluster
from connectors.kafka.sequencer import Sequencer, SequencerSource, Sequencing
from connectors.kafka.topics import ensure_topics, look, look_at, resolve_start
from state.errors import LogChanged, OffsetGone, TopicReplaced
from state.lifecycle import Lifecycle
from state.shards import shard_names
from tests.connectors.kafka.rig import Rig, read
from tests.waiting import PATIENCE_S, eventually


@pytest.fixture(params=["columns", "objects"])
def rig(request, kafka):
    made = Rig(Cluster(kafka.bootstrap), f"t.{uuid.uuid4().hex[:12]}", 2, way=request.param)
    made_anew(made.cluster, made.topic)
    yield made
    for part in made.opened:
        part.close()


def made_anew(cluster: Cluster, topic: str) -> None:
    """Make a topic of two partitions, in place of the one of this name if there is one."""
    admin = cluster.admin()
    if look(cluster, admin, topic) is not None:
        for future in admin.delete_topics([topic]).values():
            future.result(PATIENCE_S)
        eventually(lambda: look(cluster, admin, topic) is None)
    ensure_topics(cluster, {topic: 2}, timeout_s=PATIENCE_S)


def numbered(first: int, last: int) -> list[tuple[int, bytes]]:
    return [(n % 2, b"v%d" % n) for n in range(first, last)]


def test_a_topic_that_was_made_anew_with_more_messages_stops_the_flow(rig):
    rig.write(numbered(0, 20))
    identity = look_at(rig.cluster, rig.topic).identity
    part = rig.open(rig.source(identity=identity))
    read(part, 20)
    state = part.snapshot()
    rig.open(rig.source(identity=identity), state)  # the same topic goes on
    made_anew(rig.cluster, rig.topic)
    rig.write(numbered(100, 200))
    with pytest.raises(TopicReplaced, match=r"was deleted and made anew: .*--generation N"):
        rig.open(rig.source(identity=identity), state)


def test_a_log_that_lost_its_end_and_went_on_stops_the_flow(rig):
    """The same offsets, the same first records, other ones behind: a topic made anew can tell."""
    rig.write(numbered(0, 20))
    part = rig.open()
    read(part, 20)
    state = part.snapshot()
    made_anew(rig.cluster, rig.topic)
    rig.write([*numbered(0, 18), *numbered(50, 80)])
    with pytest.raises(LogChanged, match=r"\[0\] holds another record at offset 9 than was read"):
        rig.open(rig.source(), state)


def test_a_log_that_lost_nothing_of_what_was_read_goes_on(rig):
    rig.write(numbered(0, 20))
    part = rig.open()
    read(part, 20)
    rig.write(numbered(20, 30))
    after = rig.open(rig.source(), part.snapshot())
    assert sorted(value for _, _, value in read(after, 10)) == sorted(
        value for _, value in numbered(20, 30)
    )


def test_a_trace_is_of_the_last_record_of_each_partition_whatever_the_blocks(rig):
    rig.write(numbered(0, 20))
    states = []
    for batch in (1, 7, 1000):
        part = replace(rig, batch=batch, opened=rig.opened).open()
        read(part, 20)
        states.append(part.snapshot())
    assert states[0] == states[1] == states[2]
    assert len(set(states[0][6].values())) == 2


def test_a_snapshot_of_a_former_release_has_no_traces_and_goes_on(rig):
    rig.write(numbered(0, 20))
    former = ("kafka", 1, rig.topic, 2, {0: 10, 1: 9}, dict[int, int]())
    part = rig.open(rig.source(), former)
    assert [value for _, _, value in read(part, 1)] == [b"v19"]


def test_a_record_that_retention_has_removed_is_not_compared(rig):
    rig.write(numbered(0, 20))
    part = rig.open()
    read(part, 20)
    state = part.snapshot()
    admin = rig.cluster.admin()
    for future in admin.delete_records([TopicPartition(rig.topic, 0, 10)]).values():
        future.result(PATIENCE_S)
    rig.write(numbered(20, 30))
    after = rig.open(rig.source(), state)
    assert sorted(value for _, _, value in read(after, 10)) == sorted(
        value for _, value in numbered(20, 30)
    )


def test_a_topic_that_is_deleted_while_the_flow_runs_is_named(rig, monkeypatch):
    monkeypatch.setattr(group.ConsumerGroup, "recount_s", 0.05)
    rig.write(numbered(0, 20))
    part = rig.open()
    read(part, 20)
    made_anew(rig.cluster, rig.topic)

    def stops() -> bool:
        part.next_batch()
        return False

    with pytest.raises(TopicReplaced, match="was deleted"):
        eventually(stops)


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ((5, 9), "retention has removed it, and the broker holds 5 to 9"),
        ((0, 2), "the log has lost its end, and the broker holds 0 to 2"),
        ((-1, -1), "gone: the broker no longer holds it"),
    ],
)
def test_an_offset_that_is_gone_says_why(bounds, said):
    assert said in str(OffsetGone("t", 0, 3, *bounds))


@pytest.fixture
def sequenced(kafka):
    """Opens a sequencer of a topic at a state."""
    cluster = Cluster(kafka.bootstrap)
    topic, into = (f"t.{uuid.uuid4().hex[:12]}" for _ in range(2))
    made_anew(cluster, topic)
    ensure_topics(cluster, {into: 1}, timeout_s=PATIENCE_S)
    identities = {topic: look_at(cluster, topic).identity}
    opened: list[Sequencer] = []

    def open_at(state=None, known=identities) -> Sequencer:
        start = {topic: resolve_start(cluster, topic, "earliest")}
        plan = Sequencing(into, into, shard_names(1), shard_names(1), start, 100, known)
        source = SequencerSource(cluster, plan, Lifecycle(), lambda: 0, lambda: 1)
        opened.append(source.build_part("in", shard_names(1)[0], state))
        return opened[-1]

    yield Rig(cluster, topic, 2), open_at
    for part in opened:
        part.close()


def test_a_sequencer_stops_at_a_topic_that_is_another(sequenced):
    rig, open_at = sequenced
    rig.write(numbered(0, 20))
    part = open_at()
    found: list[object] = []

    def all_came() -> bool:
        found.extend(part.next_batch())
        return len(found) == 20

    eventually(all_came)
    state = part.snapshot()
    open_at(state)
    open_at(("sequencer", 1, state[2]))
    made_anew(rig.cluster, rig.topic)
    rig.write([*numbered(0, 18), *numbered(50, 80)])
    with pytest.raises(TopicReplaced):
        open_at(state)
    with pytest.raises(LogChanged):
        open_at(state, {})
    open_at(("sequencer", 1, state[2]), {})
