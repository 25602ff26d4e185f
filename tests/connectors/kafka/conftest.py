"""What the tests of the Kafka connectors share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from connectors.kafka.client import Cluster
from flows.servers import KafkaBroker
from tests.connectors.kafka.rig import MARK, Rig


@pytest.fixture
def rig(kafka: KafkaBroker, topic: Callable[..., str]):
    """``rig(partitions=2, shards=1, ...)`` makes a new topic and what reads it."""
    made: list[Rig] = []

    def make(partitions: int = 1, config: dict[str, str] | None = None, **options) -> Rig:
        name = topic(partitions, **(config or {}))
        made.append(Rig(Cluster(kafka.bootstrap, mark=MARK), name, partitions, **options))
        return made[-1]

    yield make
    for one in made:
        for part in one.opened:
            part.close()
