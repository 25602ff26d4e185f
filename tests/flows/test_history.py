"""The history flow: real topics into a real PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import psycopg
import pytest
from bytewax.testing import run_main
from confluent_kafka import Consumer, TopicPartition
from pydantic import SecretStr

from connectors.kafka.topics import ensure_topics, resolve_start
from connectors.postgres.client import Connection, Database
from connectors.postgres.reader import records
from flows import history
from flows.commands import check
from flows.engine.cluster import cluster_of
from flows.engine.flows import find_flow
from flows.engine.generation import Generation, Start
from flows.engine.live import connect
from flows.engine.preparing import prepare
from flows.servers import KafkaBroker, Postgres
from flows.settings.servers import Kafka, Run
from flows.settings.servers import Postgres as PostgresSettings
from flows.settings.settings import Settings
from state.errors import HeadraceError
from state.lifecycle import Lifecycle
from state.outputs import to_json
from tests import producing
from tests.connectors.postgres.rows import ONE_OF_EACH, TABLES, bar
from tests.waiting import PATIENCE_S

PARTITIONS = 3
DEAD_TOPIC = "history.dead"


class Rig:
    """The topics as they are now, and a database."""

    def __init__(self, kafka: KafkaBroker, dsn: str) -> None:
        self.settings = Settings(
            kafka=Kafka(bootstrap=kafka.bootstrap, shards=2),
            postgres=PostgresSettings(dsn=SecretStr(dsn), retention=100 * 365 * 86_400 * 10**9),
        )
        self.bootstrap = kafka.bootstrap
        cluster = cluster_of(self.settings.kafka)
        topics = [*TABLES, DEAD_TOPIC]
        ensure_topics(cluster, dict.fromkeys(topics, PARTITIONS))
        self.offsets = {topic: resolve_start(cluster, topic, "latest") for topic in topics}
        self.producer = producing.producer(kafka.bootstrap)

    def produce(self, topic: str, value: bytes, generation: int = 1) -> None:
        self.producer.produce(
            topic,
            value,
            b"key",
            partition=crc32(value) % PARTITIONS,
            headers=[
                ("headrace-counter", b"0/1"),
                ("headrace-generation", str(generation).encode()),
            ],
        )

    @contextmanager
    def running(self) -> Iterator[Lifecycle]:
        """The flow, running in a thread from the first offsets on; it drains in the end."""
        lifecycle = Lifecycle()
        start = Start("history", 1, "", {topic: self.offsets[topic] for topic in TABLES})
        flow = history.build(connect(find_flow("history"), start, self.settings, lifecycle))
        runner = threading.Thread(target=run_main, args=(flow,), daemon=True)
        runner.start()
        try:
            yield lifecycle
        finally:
            lifecycle.stopping.set()
            runner.join(PATIENCE_S)
            assert not runner.is_alive()

    def dead_letters(self) -> list[Any]:
        """What was added to the flow's dead letters."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "test"})
        ends = resolve_start(cluster_of(self.settings.kafka), DEAD_TOPIC, "latest")
        wanted = sum(ends[p] - first for p, first in self.offsets[DEAD_TOPIC].items())
        consumer.assign(
            [TopicPartition(DEAD_TOPIC, p, first) for p, first in self.offsets[DEAD_TOPIC].items()]
        )
        found: list[Any] = []
        while len(found) < wanted:
            found += consumer.consume(wanted - len(found), 1)
        consumer.close()
        return found


def counts(dsn: str) -> list[int]:
    """How many rows each table has; nothing where there are no tables yet, or no server."""
    try:
        with psycopg.connect(dsn) as connection:
            return [_count(connection, table.name) for table in TABLES.values()]
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable):
        return []


def _count(connection: Connection, table: str) -> int:
    (found,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,)
    return int(found)


def wait_for(done: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_every_output_arrives_and_bad_records_become_dead_letters(
    kafka: KafkaBroker, database: str
) -> None:
    rig = Rig(kafka, database)
    for topic, record in ONE_OF_EACH.items():
        rig.produce(topic, to_json(record))
        rig.produce(topic, b"not JSON")
    rig.producer.flush()
    with rig.running():
        wait_for(lambda: counts(database) == [1] * len(TABLES))
    with Database(SecretStr(database)).connect() as connection:
        for topic, record in ONE_OF_EACH.items():
            (found,) = records(connection, TABLES[topic], 1)
            assert to_json(found) == to_json(record)
    dead = rig.dead_letters()
    assert [letter.value() for letter in dead] == [b"not JSON"] * len(ONE_OF_EACH)
    origins = {dict(letter.headers())["headrace-origin"].split(b"/")[0] for letter in dead}
    assert origins == {topic.encode() for topic in TABLES}


def test_running_again_from_the_start_changes_nothing(kafka: KafkaBroker, database: str) -> None:
    rig = Rig(kafka, database)
    written = [bar(number) for number in range(500)]
    for record in written:
        rig.produce("market.bars", to_json(record))
        rig.produce("market.bars", to_json(record), generation=2)
    rig.producer.flush()
    with rig.running():
        wait_for(lambda: counts(database)[:1] == [1000])
    # Dead letters come last in their topic, so all that is before them was written again.
    for number in range(PARTITIONS * 10):
        rig.produce("market.bars", b"the end %d" % number)
    rig.producer.flush()
    with rig.running():
        wait_for(lambda: len(rig.dead_letters()) == PARTITIONS * 10)
    with Database(SecretStr(database)).connect() as connection:
        for generation in (1, 2):
            assert list(records(connection, TABLES["market.bars"], generation)) == written


def test_the_flow_waits_for_a_stopped_database_and_loses_nothing(
    kafka: KafkaBroker, own_postgres: Postgres
) -> None:
    rig = Rig(kafka, own_postgres.dsn)
    written = [bar(number) for number in range(3000)]
    for record in written[:1000]:
        rig.produce("market.bars", to_json(record))
    rig.producer.flush()
    with rig.running() as lifecycle:
        wait_for(lambda: counts(own_postgres.dsn)[:1] == [1000])
        own_postgres.stop()
        for record in written[1000:]:
            rig.produce("market.bars", to_json(record))
        rig.producer.flush()
        wait_for(lambda: "postgres" in lifecycle.waiting)
        own_postgres.start()
        wait_for(lambda: counts(own_postgres.dsn)[:1] == [3000])
        assert lifecycle.waiting == {}
    with Database(SecretStr(own_postgres.dsn)).connect() as connection:
        assert list(records(connection, TABLES["market.bars"], 1)) == written


def test_topics_of_trading_are_read_where_they_were_at_the_first_start(
    own_kafka: KafkaBroker, database: str, tmp_path: Path
) -> None:
    settings = Settings(
        run=Run(state_dir=tmp_path),
        kafka=Kafka(bootstrap=own_kafka.bootstrap, shards=2),
        postgres=PostgresSettings(dsn=SecretStr(database)),
    )
    cluster = cluster_of(settings.kafka)
    of_market = [topic for topic in TABLES if topic.startswith("market.")]
    ensure_topics(cluster, dict.fromkeys(of_market, 1))
    first, second = (Generation(tmp_path / "history", number) for number in (1, 2))
    assert check._generation(find_flow("history"), settings, cluster) == "not started yet"
    assert sorted(prepared(first, settings).offsets) == sorted(of_market)
    ensure_topics(cluster, dict.fromkeys(TABLES, 1))
    # Decided once: what came later is read by another generation.
    again = prepared(first, settings)
    assert sorted(again.offsets) == sorted(of_market)
    history.build(connect(find_flow("history"), again, settings, Lifecycle()))
    with pytest.raises(HeadraceError, match=r"1 does not read trading\..*history --generation 2"):
        check._generation(find_flow("history"), settings, cluster)
    assert sorted(prepared(second, settings).offsets) == sorted(TABLES)
    assert (
        check._generation(find_flow("history"), settings, cluster)
        == f"generation 2 reads {len(TABLES)} topics"
    )


def prepared(generation: Generation, settings: Settings) -> Start:
    generation.directory.mkdir(parents=True, exist_ok=True)
    prepare(find_flow("history"), generation, "", settings)
    start = generation.load()
    assert start is not None
    return start
