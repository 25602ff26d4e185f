"""Apache Kafka, one node, from the jars that ``make setup`` put into ``.headrace/kafka/lib``.

Where Java 17 or the jars are missing, librdkafka's in-process broker stands in. It is no
Kafka: it keeps little, and nothing when it ends. ``kind`` says which one it is, and
``HEADRACE_REQUIRE_KAFKA=1`` makes the stand-in an error.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

from flows.engine.ports import HOST, free_port
from flows.servers.java import MIN_JAVA, java
from flows.servers.process import Server, connects
from state.errors import ServerFailed

JARS = Path(".headrace/kafka/lib")
MAX_MESSAGE_BYTES = 20 * 1024 * 1024

LOGGING = """\
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %p %c: %m%n
"""


class ApacheKafka(Server):
    """One node, broker and controller at once (KRaft); topics are made explicitly."""

    name: ClassVar[str] = "kafka"

    def __init__(self, directory: Path, java_options: Sequence[str] = ()) -> None:
        super().__init__(directory)
        self._controller_port = free_port()
        self._java_options = java_options

    @property
    def kind(self) -> str:
        """The product and its version."""
        return f"Apache Kafka {_version()}"

    @property
    def bootstrap(self) -> str:
        """For any Kafka client."""
        return f"{HOST}:{self.port}"

    def _create(self) -> None:
        (self.home / "log4j2.properties").write_text(LOGGING)
        self._configure()
        # Kafka wants 16 bytes; random ones could begin with a dash and look like an option.
        cluster = base64.urlsafe_b64encode(b"headrace" + os.urandom(8)).decode().rstrip("=")
        # The tool runs for half a second: the first compiler is enough and starts faster.
        storage = self._java("-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format")
        self._run([*storage, "--cluster-id", cluster, "--config", "server.properties"])

    def _configure(self) -> None:
        controller = f"{HOST}:{self._controller_port}"
        properties: dict[str, object] = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "log.dirs": self.home / "data",
            "auto.create.topics.enable": "false",
            "message.max.bytes": MAX_MESSAGE_BYTES,
            "replica.fetch.max.bytes": MAX_MESSAGE_BYTES,
            "group.initial.rebalance.delay.ms": 0,
            # After a crash the controller first waits for the dead broker's session to end.
            "broker.session.timeout.ms": 4000,
            "broker.heartbeat.interval.ms": 500,
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            # A topic bounded by size stays so: by default Kafka looks every five minutes.
            "log.retention.check.interval.ms": 5000,
        }
        lines = [f"{key}={value}\n" for key, value in properties.items()]
        (self.home / "server.properties").write_text("".join(lines))

    def _command(self) -> list[str]:
        self._configure()  # again: the ports may be others than at the last start of this home
        return self._java(*self._java_options, "kafka.Kafka", "server.properties")

    def _java(self, *arguments: str) -> list[str]:
        classes = str((_jars() or JARS) / "*")
        logging = "-Dlog4j2.configurationFile=log4j2.properties"
        return [java(MIN_JAVA) or "java", "-Xmx512m", "-cp", classes, logging, *arguments]

    def _answers(self) -> bool:
        if not connects(self.port):
            return False
        client = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        try:
            return bool(client.list_topics(timeout=10).brokers)
        except KafkaException:
            return False


class MockKafka:
    """librdkafka's in-process broker; its life is this object's."""

    kind = "librdkafka mock"

    def __init__(self) -> None:
        self._producer: Producer | None = None
        self._bootstrap = ""

    @property
    def bootstrap(self) -> str:
        """For clients of librdkafka, in this process or another."""
        return self._bootstrap

    @property
    def pid(self) -> int:
        """The id of this very process."""
        return os.getpid()

    def launch(self) -> None:
        """Start it; once, since what it held is gone when it ends."""
        if self._bootstrap:
            raise ServerFailed(self.kind, "cannot come back: it keeps nothing. Use Apache Kafka")
        self._producer = Producer({"test.mock.num.brokers": 1, "log_level": 0})
        (broker,) = self._producer.list_topics(timeout=10).brokers.values()
        self._bootstrap = f"{broker.host}:{broker.port}"

    def wait(self) -> None:
        """Return at once: it answers when it is launched."""

    def stop(self) -> None:
        """End it, with all that it held."""
        self._producer = None

    kill = stop


class KafkaBroker:
    """A Kafka broker for the demo and the tests: Apache Kafka, or its stand-in.

    ``java_options`` are those of the Java that runs it. Raises `ServerFailed` where Apache Kafka
    is required and cannot run.
    """

    def __init__(self, directory: Path, java_options: Sequence[str] = ()) -> None:
        missing = missing_for_kafka()
        if missing and os.environ.get("HEADRACE_REQUIRE_KAFKA") == "1":
            raise ServerFailed("kafka", f"{missing}, and HEADRACE_REQUIRE_KAFKA forbids a stand-in")
        self._broker = MockKafka() if missing else ApacheKafka(directory, java_options)

    @property
    def kind(self) -> str:
        """What it runs on: ``Apache Kafka 4.1.1`` or ``librdkafka mock``."""
        return self._broker.kind

    @property
    def bootstrap(self) -> str:
        """For any Kafka client; the same after a restart."""
        return self._broker.bootstrap

    @property
    def pid(self) -> int:
        """Its process's id (our own for the stand-in); raises `ServerFailed` where none runs."""
        return self._broker.pid

    def launch(self) -> None:
        """Start it without waiting until it answers."""
        self._broker.launch()

    def wait(self) -> None:
        """Return when it answers; raises `ServerFailed`."""
        self._broker.wait()

    def start(self) -> Self:
        """Start it and return when it answers; raises `ServerFailed`."""
        self.launch()
        self.wait()
        return self

    def stop(self) -> None:
        """End it as its operator would (a controlled shutdown)."""
        self._broker.stop()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._broker.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def missing_for_kafka() -> str:
    """Return what keeps Apache Kafka from running here; empty where nothing does."""
    if not java(MIN_JAVA):
        return f"no Java {MIN_JAVA} or later was found"
    if not _jars():
        return f"{JARS} holds no Kafka jars (`make setup` puts them there, with Maven)"
    return ""


def _jars() -> Path | None:
    """Return the folder of the jars, below the working directory or this checkout."""
    for root in (Path.cwd(), Path(__file__).resolve().parents[2]):
        if any((root / JARS).glob("kafka_*.jar")):
            return root / JARS
    return None


def _version() -> str:
    (jar,) = (_jars() or JARS).glob("kafka_*.jar")
    return jar.stem.rpartition("-")[2]
