"""The Redis sink waits for a server that is away or takes no writes for now."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from flows.servers import Valkey
from state.errors import Stopped
from state.lifecycle import Lifecycle
from state.metrics import SINK_WAITING
from tests.connectors.redis.places import SHARD, Redis, batch, write
from tests.waiting import PATIENCE_S, eventually


def in_background(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def waits(lifecycle: Lifecycle) -> bool:
    return bool(
        eventually(
            lambda: "redis" in lifecycle.waiting and SINK_WAITING.labels("redis")._value.get()
        )
    )


def test_a_writer_waits_for_a_killed_server_and_goes_on(own_valkey: Valkey) -> None:
    place, lifecycle = Redis(own_valkey.url), Lifecycle()
    partition = place.partition(lifecycle=lifecycle)
    written = 0

    def work() -> None:
        nonlocal written
        while written < 3000:
            partition.write_batch([batch(written + 1, 3)])
            written += 3
        partition.close()

    writer = in_background(work)
    while written < 300:
        time.sleep(0.001)
    own_valkey.kill()
    assert waits(lifecycle)
    stuck = written
    assert stuck < 3000
    time.sleep(0.2)
    assert written == stuck
    own_valkey.start()
    writer.join(PATIENCE_S)
    assert written == 3000
    assert lifecycle.waiting == {}
    assert place.counters() == list(range(1, 3001))


def test_a_writer_that_waits_can_be_stopped(own_valkey: Valkey) -> None:
    lifecycle = Lifecycle()
    partition = Redis(own_valkey.url).partition(lifecycle=lifecycle)
    own_valkey.kill()
    stopped: list[Exception] = []

    def work() -> None:
        try:
            partition.write_batch([batch(1, 3)])
        except Stopped as error:
            stopped.append(error)

    writer = in_background(work)
    assert waits(lifecycle)
    lifecycle.stopping.set()
    writer.join(PATIENCE_S)
    assert len(stopped) == 1


def test_a_server_that_hangs_is_noticed(
    own_valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.redis.client.TIMEOUT_SECONDS", 0.2)
    place, lifecycle = Redis(own_valkey.url), Lifecycle()
    partition = place.partition(lifecycle=lifecycle)
    write(partition, batch(1, 3))
    place.client.client_pause(10**6, all=False)
    writer = in_background(lambda: write(partition, batch(4, 3)))
    assert waits(lifecycle)
    place.client.client_unpause()
    writer.join(PATIENCE_S)
    assert place.counters() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("trouble", "cure"),
    [
        ({"maxmemory": "1"}, {"maxmemory": "0"}),
        ({"min-replicas-to-write": "1"}, {"min-replicas-to-write": "0"}),
    ],
    ids=["out of memory", "too few replicas"],
)
def test_a_server_that_takes_no_writes_for_now_is_waited_for(
    own_place: Redis, trouble: dict[str, str], cure: dict[str, str]
) -> None:
    lifecycle = Lifecycle()
    partition = own_place.partition(lifecycle=lifecycle)
    write(partition, batch(1, 3))
    own_place.client.config_set(*next(iter(trouble.items())))
    writer = in_background(lambda: write(partition, batch(4, 3), batch(7, 3)))
    assert waits(lifecycle)
    own_place.client.config_set(*next(iter(cure.items())))
    writer.join(PATIENCE_S)
    assert own_place.counters() == list(range(1, 10))


def test_a_replica_is_waited_for_until_it_is_the_primary(own_place: Redis) -> None:
    lifecycle = Lifecycle()
    partition = own_place.partition(lifecycle=lifecycle)
    write(partition, batch(1, 3))
    own_place.client.slaveof("127.0.0.1", 1)
    writer = in_background(lambda: write(partition, batch(4, 3)))
    assert waits(lifecycle)
    own_place.client.slaveof()
    writer.join(PATIENCE_S)
    assert own_place.counters() == list(range(1, 7))


def test_the_password_is_in_no_reason_for_waiting(own_valkey: Valkey) -> None:
    own_valkey.kill()
    lifecycle = Lifecycle()
    url = own_valkey.url.replace("redis://", "redis://:s3cret-w0rd@")
    sink = Redis(own_valkey.url).sink(url=url, lifecycle=lifecycle)

    def work() -> None:
        with pytest.raises(Stopped):
            sink.build_part("redis", SHARD, None).write_batch([batch(1, 1)])

    writer = in_background(work)
    assert waits(lifecycle)
    assert "s3cret" not in str(lifecycle.waiting)
    lifecycle.stopping.set()
    writer.join(PATIENCE_S)
