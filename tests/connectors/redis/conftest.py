"""What the tests of the Redis connectors share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flows.servers import Valkey
from tests.connectors.redis.places import Redis


@pytest.fixture
def place(valkey: Valkey) -> Iterator[Redis]:
    made = Redis(valkey.url)
    yield made
    made.client.close()


@pytest.fixture
def own_place(own_valkey: Valkey) -> Iterator[Redis]:
    made = Redis(own_valkey.url)
    yield made
    made.client.close()
