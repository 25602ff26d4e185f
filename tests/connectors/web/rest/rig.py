"""The REST half behind a real uvicorn, tokens for it, and records to find."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import orjson
import uvicorn
from joserfc import jwt
from joserfc.jwk import OKPKey
from pydantic import SecretStr

from connectors.kafka.client import Cluster
from connectors.redis.keys import Keys
from connectors.redis.sink import RedisSink
from connectors.web.limits import Limits
from connectors.web.rest.app import make_app, operations
from connectors.web.rest.outputs import Catalog
from connectors.web.rest.pages import PAGE
from connectors.web.rest.rooms import Given, rooms
from connectors.web.tokens import Tokens
from flows.engine.systems import declared_outputs
from flows.feed import gateway
from flows.feed.rest import rest_parts
from flows.settings.feed import Feed
from flows.settings.servers import Kafka, Postgres, Redis
from flows.settings.settings import Settings
from state.lifecycle import Lifecycle
from state.outputs import to_json
from state.records import OutputBatch
from state.shards import shard_name
from tests.files import audit_file
from tests.waiting import PATIENCE_S

NOWHERE = "127.0.0.1:1"
CATALOG = Catalog.of(declared_outputs())
OPERATIONS = operations(CATALOG, rooms(Given(Cluster(NOWHERE), {"market": 0})))
EVERYTHING = Limits(requests_per_second=100_000)


def settings(
    redis_url: str = f"redis://{NOWHERE}/0",
    dsn: str = f"postgresql://headrace@{NOWHERE}/headrace",
    bootstrap: str = NOWHERE,
    **feed: Any,
) -> Settings:
    """Return settings of servers; those not given are down."""
    return Settings(
        redis=Redis(url=SecretStr(redis_url)),
        postgres=Postgres(dsn=SecretStr(dsn)),
        kafka=Kafka(bootstrap=bootstrap),
        feed=Feed(**{"workers": (), "audit": audit_file(), **feed}),
    )


@contextmanager
def serving(
    given: Settings,
    tokens: Tokens | None = None,
    limits: Limits = EVERYTHING,
    page: Path = PAGE,
) -> Iterator[httpx2.Client]:
    """Serve the REST half; yields a client of it."""
    parts = rest_parts(given, tokens, limits)
    config = uvicorn.Config(
        make_app(parts, page), host="127.0.0.1", port=0, log_config=None, lifespan="off", ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()
        parts.close()


@contextmanager
def feeding(given: Settings) -> Iterator[str]:
    """Serve the whole feed by its own wiring, on a port of its own; yields its address."""
    listening: Future[str] = Future()
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(gateway.serve(given, listening.set_result))
        thread = threading.Thread(target=loop.run_until_complete, args=(ended(task),))
        thread.start()
        try:
            yield listening.result(PATIENCE_S)
        finally:
            loop.call_soon_threadsafe(task.cancel)
            thread.join()


async def ended(task: asyncio.Task[None]) -> None:
    with suppress(asyncio.CancelledError):
        await task


@dataclass
class Issuer:
    """Signs tokens; `tokens` verifies them by the file of its public key."""

    directory: Path
    key: OKPKey = field(default_factory=lambda: OKPKey.generate_key("Ed25519", {"kid": "k"}))

    @property
    def jwks(self) -> Path:
        path = self.directory / "jwks.json"
        path.write_bytes(orjson.dumps({"keys": [self.key.as_dict(private=False)]}))
        return path

    @property
    def tokens(self) -> Tokens:
        return Tokens(self.jwks, "headrace")

    def header(self, scope: str, seconds: float = 60.0, **claims: Any) -> dict[str, str]:
        """Return the header of a request with a token."""
        said = {"aud": "headrace", "sub": "ann", "exp": int(time.time() + seconds), "scope": scope}
        token = jwt.encode({"alg": "EdDSA", "kid": "k"}, said | claims, self.key, ["EdDSA"])
        return {"Authorization": f"Bearer {token}"}


def write(
    url: str,
    output: str,
    records: list[dict[str, Any]],
    keys: list[str],
    first: int = 1,
    system: str = "market",
):
    """Write records of a system into Redis, as the flow does."""
    name = shard_name(0)
    sink = RedisSink(
        SecretStr(url), Keys(system, 1), "l", 100_000, [name], [name], Lifecycle(), "one"
    )
    partition = sink.build_part("redis", name, None)
    times = [1] * len(records)
    ids = [record["id"] for record in records]
    values = [to_json(record) for record in records]
    partition.write_batch([OutputBatch(output, "0", first, times, ids, keys, values)])
    partition.snapshot()
    partition.close()


def expect_problem(
    answer: httpx2.Response, status: int, field: str | None = None
) -> dict[str, Any]:
    """Check that an answer is a problem of this status and field; return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["type"] == "about:blank"
    assert found["status"] == status
    assert found["title"]
    if field is not None:
        assert found["field"] == field, found
    return found
