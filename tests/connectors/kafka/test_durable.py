"""A writer for whoever answers only what Kafka has, and what is stored once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

from connectors.intake import Intake
from connectors.kafka.client import Cluster
from connectors.kafka.delivery import TOO_LARGE, Outgoing
from connectors.kafka.durable import QUEUE_FULL, DurableWriter
from connectors.kafka.tail import since
from connectors.repeats import Repeats
from state.clock import MS, NS
from tests.conftest import create_topic, delete_messages
from tests.waiting import PATIENCE_S

START_NS = 1_700_000_000 * NS


def run(bootstrap: str, work: Callable[[DurableWriter], Awaitable[None]], **options: str) -> None:
    """Run ``work`` with a writer on a loop of its own."""

    async def main() -> None:
        cluster = Cluster(bootstrap, options=options)
        writer = DurableWriter(cluster, asyncio.get_running_loop())
        try:
            async with asyncio.timeout(PATIENCE_S):
                await work(writer)
        finally:
            await writer.close(0)

    asyncio.run(main())


def outgoing(topic: str, value: bytes = b"v") -> Outgoing:
    return Outgoing(topic, b"k", value, [("h", b"1")])


def test_what_is_confirmed_is_in_the_topic_with_its_time(kafka, topic):
    name = topic()

    async def work(writer: DurableWriter) -> None:
        outcomes = [writer.store(outgoing(name, b"%d" % n), START_NS + n * MS) for n in range(100)]
        assert await asyncio.gather(*outcomes) == [None] * 100
        assert len(writer) == 0

    run(kafka.bootstrap, work)
    found = list(since(Cluster(kafka.bootstrap), name, 0, 1000))
    assert [each.value() for each in found] == [b"%d" % n for n in range(100)]
    assert [each.timestamp()[1] for each in found] == [START_NS // MS + n for n in range(100)]
    assert (found[0].key(), found[0].headers()) == (b"k", [("h", b"1")])


def test_a_close_waits_for_what_is_on_its_way(kafka, topic):
    name = topic()

    async def main() -> None:
        writer = DurableWriter(Cluster(kafka.bootstrap), asyncio.get_running_loop())
        writer.store(outgoing(name), START_NS)
        await writer.close(PATIENCE_S)
        assert len(writer) == 0

    asyncio.run(main())
    assert [each.value() for each in since(Cluster(kafka.bootstrap), name, 0, 10)] == [b"v"]


def test_a_refusal_is_told_and_others_go_on(kafka, topic):
    name = topic(max_message_bytes="300000")

    async def work(writer: DurableWriter) -> None:
        refused = writer.store(outgoing(name, b"x" * 400_000), START_NS)
        stored = writer.store(outgoing(name), START_NS)
        error = await refused
        assert error is not None
        assert error.code() == TOO_LARGE
        assert await stored is None

    run(kafka.bootstrap, work)


def test_a_full_queue_is_told_at_once():
    async def work(writer: DurableWriter) -> None:
        writer.store(outgoing("t"), START_NS)
        writer.store(outgoing("t"), START_NS)
        error = await writer.store(outgoing("t"), START_NS)
        assert error is not None
        assert error.code() == QUEUE_FULL

    run("127.0.0.1:1", work, **{"queue.buffering.max.messages": "2"})


def test_what_comes_again_has_the_outcome_of_the_first_however_late(own_kafka):
    create_topic(own_kafka, "late", 1)

    async def work(writer: DurableWriter) -> None:
        intake = Intake(writer, Repeats(NS, 10))
        assert await writer.store(outgoing("late", b"before"), START_NS) is None
        os.kill(own_kafka.pid, signal.SIGSTOP)
        try:
            first, new = intake.take(outgoing("late"), b"d", START_NS)
            assert new
            assert first is not None
            done, _ = await asyncio.wait([first], timeout=0.5)
            assert not done
            assert intake.take(outgoing("late"), b"d", START_NS) == (first, False)
        finally:
            os.kill(own_kafka.pid, signal.SIGCONT)
        assert await first is None
        assert intake.take(outgoing("late"), b"d", START_NS) == (None, False)

    run(own_kafka.bootstrap, work)
    found = since(Cluster(own_kafka.bootstrap), "late", 0, 1000)
    assert [each.value() for each in found] == [b"before", b"v"]


def test_what_was_not_stored_is_new_when_it_comes_again():
    async def work(writer: DurableWriter) -> None:
        intake = Intake(writer, Repeats(NS, 10))
        writer.store(outgoing("t"), START_NS)
        for _ in range(2):
            outcome, new = intake.take(outgoing("t"), b"d", START_NS)
            assert new
            assert outcome is not None
            assert await outcome is not None
            await asyncio.sleep(0)  # until the outcome's callbacks have run

    run("127.0.0.1:1", work, **{"queue.buffering.max.messages": "1"})


def test_a_tail_begins_at_a_time_and_is_no_longer_than_asked_for(kafka, topic):
    name = topic(partitions=2)
    cluster = Cluster(kafka.bootstrap)
    assert list(since(cluster, name, 0, 10)) == []

    async def work(writer: DurableWriter) -> None:
        for key in (b"1", b"2", b"3", b"4"):
            for n in range(50):
                message = Outgoing(name, key, b"%d" % n, [])
                assert await writer.store(message, START_NS + n * MS) is None

    run(kafka.bootstrap, work)
    late = list(since(cluster, name, START_NS + 40 * MS, 1000))
    assert {each.value() for each in late} >= {b"%d" % n for n in range(40, 50)}
    for p in (0, 1):
        newest = [each for each in since(cluster, name, 0, 7) if each.partition() == p]
        everything = [each for each in since(cluster, name, 0, 1000) if each.partition() == p]
        assert [e.offset() for e in newest] == [e.offset() for e in everything][-7:]
    assert list(since(cluster, name, START_NS + 50 * MS, 10)) == []


def test_a_tail_begins_behind_what_retention_has_deleted(kafka, topic):
    name = topic()

    async def work(writer: DurableWriter) -> None:
        for n in range(10):
            assert await writer.store(outgoing(name, b"%d" % n), START_NS) is None

    run(kafka.bootstrap, work)
    delete_messages(kafka, name, 8)
    found = since(Cluster(kafka.bootstrap), name, 0, 1000)
    assert [each.value() for each in found] == [b"8", b"9"]
