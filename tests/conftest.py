"""Real servers for the tests.

`kafka`, `valkey`, `postgres` and `registry` are shared by the whole run; `topic`, `redis_url` and
`database` give each test a part of them for itself. A test that stops or kills a server
takes `own_kafka`, `own_valkey` or `own_postgres`.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from itertools import count

import psycopg
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # it is there

from flows.servers import KafkaBroker, Postgres, Valkey
from flows.servers.registry import Registry, missing_for_registry, required

KAFKA_FIXTURES = {"kafka", "own_kafka"}
KAFKA_TESTS = pytest.StashKey[dict[str, int]]()
MakeTopic = Callable[..., str]


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """The run's broker."""
    with KafkaBroker(tmp_path_factory.mktemp("shared")) as broker:
        yield broker


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """The run's Redis server."""
    with Valkey(tmp_path_factory.mktemp("shared")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """The run's PostgreSQL server."""
    with Postgres(tmp_path_factory.mktemp("shared")) as server:
        yield server


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """The run's schema registry."""
    missing = missing_for_registry()
    if missing and not required():
        pytest.skip(missing)
    with Registry(tmp_path_factory.mktemp("shared")) as server:
        yield server


@pytest.fixture
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker of the test's own, with a restart that keeps its data."""
    with KafkaBroker(tmp_path_factory.mktemp("own")) as broker:
        if not broker.kind.startswith("Apache"):
            pytest.skip(f"{broker.kind} keeps nothing over a restart")
        yield broker


@pytest.fixture
def own_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A Redis server of the test's own."""
    with Valkey(tmp_path_factory.mktemp("own")) as server:
        yield server


@pytest.fixture
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL server of the test's own."""
    with Postgres(tmp_path_factory.mktemp("own")) as server:
        yield server


def create_topic(broker: KafkaBroker, name: str, partitions: int, **config: str) -> None:
    """Make a topic; option names with underscores for Kafka's dots.

    It keeps what is old, for tests write messages of 1970, which the broker would delete at
    its next look, a few seconds later.
    """
    options = {"retention.ms": "-1"}
    options |= {key.replace("_", "."): value for key, value in config.items()}
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    new = NewTopic(name, num_partitions=partitions, replication_factor=1, config=options)
    admin.create_topics([new])[name].result(30)


def delete_messages(broker: KafkaBroker, topic: str, before: int) -> None:
    """Delete what is in front of an offset of partition 0, as retention does."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    upto = TopicPartition(topic, 0, before)
    admin.delete_records([upto])[upto].result(20)


def delete_topic(broker: KafkaBroker, name: str) -> None:
    """Delete a topic; it is gone when this returns."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.delete_topics([name])[name].result(20)
    while name in admin.list_topics(timeout=20).topics:
        time.sleep(0.02)


@pytest.fixture
def topic(kafka: KafkaBroker) -> MakeTopic:
    """``topic(partitions=1, stem="t", **config)`` makes a new topic and returns its name."""

    def make(partitions: int = 1, stem: str = "t", **config: str) -> str:
        name = f"{stem}.{uuid.uuid4().hex[:12]}"
        create_topic(kafka, name, partitions, **config)
        return name

    return make


_databases = count(1)


@pytest.fixture
def redis_url(valkey: Valkey) -> str:
    """The address of an empty database of the shared Redis server."""
    return f"redis://127.0.0.1:{valkey.port}/{next(_databases)}"


@pytest.fixture
def database(postgres: Postgres) -> str:
    """The address of an empty database of the shared PostgreSQL server."""
    name = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres.dsn.removesuffix("headrace") + name


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Count the tests that passed with a broker, by what the broker was."""
    report = yield
    used = KAFKA_FIXTURES.intersection(getattr(item, "fixturenames", ()))
    if call.when == "call" and report.passed and isinstance(item, pytest.Function) and used:
        broker = item.funcargs[used.pop()]
        assert isinstance(broker, KafkaBroker)
        counts = item.config.stash.setdefault(KAFKA_TESTS, {})
        counts[broker.kind] = counts.get(broker.kind, 0) + 1
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say which Kafka the tests ran on; `.ci/run` reads it."""
    for kind, tests in config.stash.get(KAFKA_TESTS, {}).items():
        terminalreporter.write_line(f"Kafka tests: {tests} on {kind}")


def pytest_unconfigure() -> None:
    """Be quiet at the end: a client of a server that is gone may still log to a closed stream."""
    logging.raiseExceptions = False
