"""Every source that we have, under the contract in sources.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bytewax.inputs import FixedPartitionedSource
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.kafka.client import Cluster
from connectors.kafka.plan import ReadingPlan
from connectors.kafka.source import KafkaSource
from connectors.pacing import Pacing
from flows.servers import KafkaBroker
from replay.message import Message
from replay.recording import Recording
from replay.source import Pace, RecordingSource
from state.lifecycle import Lifecycle
from state.shards import shard_names
from tests import producing
from tests.conftest import create_topic, delete_topic
from tests.contracts.sources import (
    BATCH,
    PARTITIONS,
    SHARDS,
    Restart,
    Seen,
    check,
    decode,
    messages,
    restarts,
)
from tests.replay.recordings import write
from tests.waiting import PATIENCE_S

Make = Callable[[], FixedPartitionedSource[tuple[str, Seen], object]]
TOPIC = "contract.sources"
NEVER_NS = 1 << 62


@pytest.fixture(scope="module")
def topic(kafka: KafkaBroker) -> Iterator[list[Message]]:
    """A topic with all shapes of messages in it."""
    made = messages(TOPIC, 1)
    create_topic(kafka, TOPIC, PARTITIONS, retention_ms="-1")
    producer = producing.producer(kafka.bootstrap)
    for m in made:
        producer.produce(
            TOPIC,
            m.value,
            m.key,
            m.partition,
            timestamp=m.timestamp_ns // 1_000_000,
            headers=list(m.headers),
        )
    assert producer.flush(PATIENCE_S) == 0
    yield made
    delete_topic(kafka, TOPIC)


SERVERS = settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
FILES = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("way", ["columns", "objects"])
@SERVERS
@given(plan=restarts)
def test_a_topic_by_either_way(
    kafka: KafkaBroker, topic: list[Message], way: str, plan: list[Restart]
) -> None:
    names = shard_names(SHARDS)
    start = dict.fromkeys(range(PARTITIONS), 0)
    reading = ReadingPlan(TOPIC, f"contract.{way}", names, names, start, BATCH, way)  # type: ignore[arg-type]  # a way

    def make() -> KafkaSource[Seen]:
        pacing = Pacing(PARTITIONS, NEVER_NS)
        return KafkaSource(Cluster(kafka.bootstrap), reading, decode, Lifecycle(), pacing)

    check(make, topic, plan)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sources") / "messages.parquet"
    return write(path, {TOPIC: PARTITIONS}, messages(TOPIC, 1))


@FILES
@given(plan=restarts, batch=st.sampled_from([1, 7, BATCH]))
def test_a_recording(recording: Path, plan: list[Restart], batch: int) -> None:
    def make() -> RecordingSource[Seen]:
        pace = Pace(batch, Pacing(PARTITIONS, NEVER_NS))
        return RecordingSource(Recording([recording]), TOPIC, SHARDS, decode, pace)

    check(make, messages(TOPIC, 1), plan)
