"""Servers of a module's own: a whole system's topics have fixed names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flows.servers import KafkaBroker, Valkey


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker for the module."""
    with KafkaBroker(tmp_path_factory.mktemp("system")) as broker:
        yield broker


@pytest.fixture(scope="module")
def own_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A Redis server for the module."""
    with Valkey(tmp_path_factory.mktemp("system")) as server:
        yield server
