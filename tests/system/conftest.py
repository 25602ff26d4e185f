"""Servers of a module's own: a whole system's topics have fixed names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flows.servers import KafkaBroker, Valkey
from tests import servers


@pytest.fixture(scope="module")
def own_kafka(spare_kafka: KafkaBroker) -> KafkaBroker:
    """An empty broker for the module."""
    servers.empty(spare_kafka)
    return spare_kafka


@pytest.fixture(scope="module")
def own_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A Redis server for the module."""
    with Valkey(tmp_path_factory.mktemp("system")) as server:
        yield server
