"""The models flow: requests through a real broker, answered, and bad ones set aside."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import orjson
import pytest
from bytewax.testing import run_main
from confluent_kafka import Consumer, Message, TopicPartition

from connectors.kafka.topics import ensure_topics, resolve_start
from flows.engine.cluster import cluster_of
from flows.engine.flows import find_flow
from flows.engine.generation import Start
from flows.engine.live import connect
from flows.market import models
from flows.servers import KafkaBroker
from flows.settings.servers import Kafka
from flows.settings.settings import Settings
from operators.market.models import answer, garch_request, weights_request
from state.lifecycle import Lifecycle
from state.outputs import to_json
from tests import producing
from tests.waiting import PATIENCE_S, eventually

RNG = np.random.default_rng(4)
RETURNS = {name: 0.01 * RNG.normal(size=120) + 0.001 for name in ("A", "B", "C")}


def clustered(count: int) -> Any:
    """Return GARCH returns, whose fit lies inside of what is allowed."""
    found, variance = [], 1e-4
    for z in RNG.normal(size=count):
        found.append(variance**0.5 * z)
        variance = 1e-5 + 0.2 * found[-1] ** 2 + 0.7 * variance
    return np.array(found)


def weights(ts_ns: int, **more: Any) -> dict[str, Any]:
    return weights_request("portfolio:P", ts_ns, ts_ns + 9, "hrp", RETURNS, {}, **more)


class Rig:
    """A flow with topics of its own."""

    def __init__(self, kafka: KafkaBroker, requests: str, answers: str) -> None:
        self.settings = Settings(kafka=Kafka(bootstrap=kafka.bootstrap, shards=2))
        self.cluster = cluster_of(self.settings.kafka)
        self.bootstrap = kafka.bootstrap
        self.name = f"models-{uuid.uuid4().hex[:12]}"
        self.requests, self.dead, self.models = requests, f"{self.name}.dead", answers
        ensure_topics(self.cluster, {self.dead: 1})

    def ask(self, *values: bytes, partition: int = 0, **headers: bytes) -> None:
        producer = producing.producer(self.bootstrap)
        for value in values:
            producer.produce(
                self.requests,
                value,
                b"key",
                partition=partition,
                headers=[(name.replace("_", "-"), data) for name, data in headers.items()],
            )
        assert producer.flush(PATIENCE_S) == 0

    def added(self, topic: str) -> list[Message]:
        """What the one partition of a topic holds."""
        wanted = resolve_start(self.cluster, topic, "latest")[0]
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "test"})
        consumer.assign([TopicPartition(topic, 0, 0)])
        found: list[Message] = []
        while len(found) < wanted:
            found += consumer.consume(wanted - len(found), 1)
        consumer.close()
        return found

    def answers(self) -> dict[str, dict[str, Any]]:
        """The first answer to each request, by its id."""
        found: dict[str, dict[str, Any]] = {}
        for message in self.added(self.models):
            body = orjson.loads(message.value() or b"")
            found.setdefault(body["id"], body)
        return found

    @contextmanager
    def running(self) -> Iterator[None]:
        """The flow in a thread, from the start on; it drains in the end."""
        lifecycle = Lifecycle()
        start = Start(self.name, 1, "", {self.requests: {0: 0, 1: 0}})
        answering = replace(models.ANSWERING, requests=self.requests, answers=self.models)
        found = replace(find_flow("models"), name=self.name, inputs=answering.inputs)
        flow = answering.build(connect(found, start, self.settings, lifecycle))
        runner = threading.Thread(target=run_main, args=(flow,), daemon=True)
        runner.start()
        try:
            yield
        finally:
            lifecycle.stopping.set()
            runner.join(PATIENCE_S)
            assert not runner.is_alive()


@pytest.fixture
def rig(kafka: KafkaBroker, topic: Callable[..., str]) -> Rig:
    return Rig(kafka, topic(2), topic())


def test_requests_are_answered_and_poison_is_a_dead_letter(rig):
    good, impossible = weights(1), weights(2, constraints={"bounds": {"*": {"max": 0.1}}})
    fit = garch_request("portfolio:P", 3, 12, clustered(400))
    rig.ask(to_json(good), b"not JSON", b'{"id": "weights|portfolio:P|9"}', to_json(fit))
    rig.ask(b"[]", to_json(impossible), partition=1)
    rig.ask(b"", headrace_heartbeat=(7).to_bytes(8, "big"))
    with rig.running():
        eventually(lambda: len(rig.answers()) == 3 and len(rig.added(rig.dead)) == 3)
    for request in (good, impossible, fit):
        assert rig.answers()[request["id"]] == answer(request)
    assert rig.answers()[good["id"]]["status"] == "ok"
    assert "the largest weights sum to 0.3" in rig.answers()[impossible["id"]]["reason"]
    assert {message.key() for message in rig.added(rig.models)} == {b"portfolio:P"}
    dead = {m.value(): dict(m.headers() or [])["headrace-reason"] for m in rig.added(rig.dead)}
    assert dead == {
        b"not JSON": b"no JSON, from character 0 on",
        b'{"id": "weights|portfolio:P|9"}': b"ts_ns is missing or no int",
        b"[]": b"the request is no JSON object",
    }


def test_what_a_restart_writes_again_is_the_same_to_the_byte(rig):
    rig.ask(*(to_json(weights(ts_ns)) for ts_ns in range(1, 4)))
    for written in (3, 6):  # from the start each time, as after a crash before the first snapshot
        with rig.running():
            eventually(partial(_holds, rig, written))
    found = [(m.key(), m.value(), dict(m.headers() or [])) for m in rig.added(rig.models)]
    assert found[:3] == found[3:]
    assert [headers["headrace-counter"][:2] for _, _, headers in found[:3]] == [b"0/"] * 3


def _holds(rig: Rig, count: int) -> bool:
    return len(rig.added(rig.models)) == count


def test_headrace_run_finds_it_and_makes_the_topic_of_answers():
    found = find_flow("models")
    assert found.outputs == ()
    assert [(each.topic, each.role) for each in found.inputs(Settings())] == [
        ("market.requests", "stream"),
        ("market.models", "made"),
    ]


def test_warming_up_uses_every_solver_without_a_failure(monkeypatch):
    found = []
    monkeypatch.setattr(models, "answer", lambda request: found.append(answer(request)))
    models.warm_up()
    # A fit of noise may lie on the boundary: arch and its optimiser have run all the same.
    garch, weights = found[:1], found[1:]
    assert [each["model"] for each in garch] == ["garch"]
    assert [(each["status"], each["reason"]) for each in weights] == [("ok", "")] * 6
