"""Real servers for the tests.

`kafka`, `valkey`, `postgres` and `registry` are shared by the whole run; `topic`, `redis_url` and
`database` give each test a part of them for itself. A test that stops or kills a server
takes `own_kafka`, `own_valkey` or `own_postgres`.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import psycopg
import pytest
import redis
from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # it is there
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]  # it ships no types

from connectors.kafka.client import Cluster
from connectors.kafka.topics import offset_bounds
from flows.servers import KafkaBroker, Postgres, Valkey
from flows.servers.registry import Registry, missing_for_registry, required
from tests import servers
from tests.servers import Servers, handed_to, shared
from tests.waiting import PATIENCE_S, eventually

MOST_WORKERS = 4
"""More than these would wait for one Kafka."""
LIVE = (
    "tests/benchmarks",
    "tests/connectors/web/test_page.py",
    "tests/docs/test_blocks.py",
    "tests/flows/test_demo.py",
    "tests/system",
)
"""Tests that run whole flows on servers of their own, which take all cores there are: one worker
does them, one after another, for two at once only wait for each other, and then for too long."""
LONGEST_FIRST = (*LIVE, "tests/connectors/web/rest", "tests/flows")
"""What workers begin with, so that all end at about the same time."""
PROFILES: dict[str, dict[str, Any]] = {
    "tests": {"derandomize": True},  # a failure is the fault of what has changed
    "explore": {"derandomize": False, "print_blob": True},
}
SERVERS = pytest.StashKey[Servers]()
KAFKA_FIXTURES = {"kafka", "own_kafka", "spare_kafka"}
KAFKA_KIND = "kafka"
MakeTopic = Callable[..., str]


@pytest.fixture(scope="session")
def kafka(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KafkaBroker]:
    """The run's broker."""
    yield from servers.kafka(handed_to(pytestconfig), tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="session")
def valkey(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Valkey]:
    """The run's Redis server."""
    yield from shared(Valkey, handed_to(pytestconfig), tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="session")
def postgres(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Postgres]:
    """The run's PostgreSQL server."""
    yield from shared(Postgres, handed_to(pytestconfig), tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """The run's schema registry."""
    missing = missing_for_registry()
    if missing and not required():
        pytest.skip(missing)
    with Registry(tmp_path_factory.mktemp("shared")) as server:
        yield server


@pytest.fixture(autouse=True)
def no_key_file(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands find no key file, though the checkout may have one."""
    path = tmp_path_factory.getbasetemp() / f"{uuid.uuid4().hex}.key"
    monkeypatch.setenv("HEADRACE_KEY_FILE", str(path))


@pytest.fixture(scope="session")
def spare_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """This process's broker for those who need one for themselves, one after another."""
    with KafkaBroker(tmp_path_factory.mktemp("own")) as broker:
        if not broker.kind.startswith("Apache"):
            pytest.skip(f"{broker.kind} keeps nothing over a restart")
        yield broker


@pytest.fixture
def own_kafka(spare_kafka: KafkaBroker) -> KafkaBroker:
    """An empty broker of the test's own, with a restart that keeps its data."""
    servers.empty(spare_kafka)
    return spare_kafka


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
    admin.create_topics([new])[name].result(PATIENCE_S)
    # The answer is the controller's: a moment may pass before the broker knows the topic, and
    # another until its partitions have leaders, without which messages may be lost
    # (topics.why_leaderless).
    eventually(lambda: _partitions(admin, name) == partitions)
    offset_bounds(Cluster(broker.bootstrap), name, PATIENCE_S)


def _partitions(admin: AdminClient, name: str) -> int:
    asked = admin.describe_topics(TopicCollection([name]))[name]
    try:
        return len(asked.result(PATIENCE_S).partitions)
    except KafkaException:
        return 0


def delete_messages(broker: KafkaBroker, topic: str, before: int) -> None:
    """Delete what is in front of an offset of partition 0, as retention does."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    upto = TopicPartition(topic, 0, before)
    admin.delete_records([upto])[upto].result(PATIENCE_S)


def delete_topic(broker: KafkaBroker, name: str) -> None:
    """Delete a topic; it is gone when this returns."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.delete_topics([name])[name].result(PATIENCE_S)
    while name in admin.list_topics(timeout=PATIENCE_S).topics:
        time.sleep(0.02)


@pytest.fixture
def topic(kafka: KafkaBroker) -> MakeTopic:
    """``topic(partitions=1, stem="t", **config)`` makes a new topic and returns its name."""

    def make(partitions: int = 1, stem: str = "t", **config: str) -> str:
        name = f"{stem}.{uuid.uuid4().hex[:12]}"
        create_topic(kafka, name, partitions, **config)
        return name

    return make


def empty_redis(valkey: Valkey) -> str:
    """Return the address of a database of the shared Redis server that nobody has used."""
    with redis.Redis(port=valkey.port) as client:
        return f"redis://127.0.0.1:{valkey.port}/{client.incr('tests.databases')}"


def empty_database(postgres: Postgres) -> str:
    """Return the address of a new database of the shared PostgreSQL server."""
    name = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres.dsn.removesuffix("headrace") + name


@pytest.fixture
def redis_url(valkey: Valkey) -> str:
    """The address of an empty database of the shared Redis server."""
    return empty_redis(valkey)


@pytest.fixture
def database(postgres: Postgres) -> str:
    """The address of an empty database of the shared PostgreSQL server."""
    return empty_database(postgres)


def pytest_configure() -> None:
    """Let a Java of a few minutes compile no more than it has to: half of the time it takes."""
    os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")


for _name, _options in PROFILES.items():
    # No deadline and no `too_slow`: they measure the machine.
    hypothesis_settings.register_profile(
        _name, deadline=None, suppress_health_check=[HealthCheck.too_slow], **_options
    )
hypothesis_settings.load_profile("tests")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return no worker for a selection, which starts faster in this process."""
    chosen = config.args_source is pytest.Config.ArgsSource.ARGS
    if chosen or config.option.keyword or config.option.markexpr or config.option.collectonly:
        return 0
    return min(len(os.sched_getaffinity(0)), MOST_WORKERS)


def pytest_sessionstart(session: pytest.Session) -> None:
    """In a controller: start the servers for all workers, before those collect."""
    config = session.config
    if getattr(config.option, "tx", None) and not hasattr(config, "workerinput"):
        factory: pytest.TempPathFactory = config._tmp_path_factory  # type: ignore[attr-defined]  # a fixture of this name is for tests
        started = config.stash[SERVERS] = Servers(factory.mktemp("shared"))
        config.add_cleanup(started.stop)
        started.launch()


class OneLiveWorker(LoadFileScheduling):  # type: ignore[misc]  # as above
    """Deals whole files to the workers, and all live ones to one of them."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "live" if file.startswith(LIVE) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneLiveWorker:
    """Deal the tests out."""
    return OneLiveWorker(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the servers' addresses to a worker."""
    node.workerinput["servers"] = node.config.stash[SERVERS].addresses


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: Sequence[str]) -> None:
    """Let no test begin before the servers answer."""
    node.config.stash[SERVERS].wait()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order the files, which the workers take in turn, for an even end."""
    if hasattr(config, "workerinput"):
        items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    found = (turn for turn, path in enumerate(LONGEST_FIRST) if item.nodeid.startswith(path))
    return next(found, len(LONGEST_FIRST))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note in the report of a test that passed with a broker what the broker was."""
    report = yield
    used = KAFKA_FIXTURES.intersection(getattr(item, "fixturenames", ()))
    if call.when == "call" and report.passed and isinstance(item, pytest.Function) and used:
        broker = item.funcargs[used.pop()]
        assert isinstance(broker, KafkaBroker)
        report.user_properties.append((KAFKA_KIND, broker.kind))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which Kafka the tests ran on, which `.ci/run` reads, and where tests failed.

    CI shows the last lines alone; what hung there is told by the lines that it stood in.
    """
    for report in terminalreporter.getreports("failed") + terminalreporter.getreports("error"):
        terminalreporter.write_line(f"Failed: {report.nodeid}")
        for trace, crash, _ in getattr(report.longrepr, "chain", ()):
            # Entries of groups of exceptions, and causes without a traceback, have no place.
            places = [getattr(entry, "reprfileloc", None) for entry in trace.reprentries]
            lines = " > ".join(f"{place.path}:{place.lineno}" for place in places if place)
            message = crash.message.partition("\n")[0] if crash else ""
            terminalreporter.write_line(f"  {lines}: {message}")
    passed = terminalreporter.getreports("passed")
    kinds = Counter(dict(report.user_properties).get(KAFKA_KIND) for report in passed)
    for kind, tests in kinds.items():
        if kind:
            terminalreporter.write_line(f"Kafka tests: {tests} on {kind}")


def pytest_unconfigure() -> None:
    """Be quiet at the end: a client of a server that is gone may still log to a closed stream."""
    logging.raiseExceptions = False
