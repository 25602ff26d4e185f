"""Requests made up from the OpenAPI description, good and bad, against all of the real servers."""

from __future__ import annotations

import uuid

import orjson
import pytest
import requests
import schemathesis
from confluent_kafka import Consumer, Message, TopicPartition
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as bounds
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks
from schemathesis.config import SchemathesisConfig

from connectors.json import parse_json
from connectors.kafka.messages import to_messages
from connectors.kafka.topics import ensure_topics, offset_bounds
from connectors.market.decode import TickDecoder
from connectors.market.events import EventDecoder
from connectors.web.rest.operation import Operation
from flows.engine.cluster import cluster_of
from flows.engine.marks import marked_cluster
from flows.market.settings import Market
from flows.market.trading_settings import Trading
from operators.market.controls.controls import Controls
from operators.market.controls.entries import Entry
from state.clock import NS
from state.records import Coordinates
from tests import producing
from tests.conftest import create_topic, empty_database, empty_redis
from tests.connectors.postgres.rows import bar
from tests.connectors.postgres.writing import bars, partition
from tests.connectors.web.rest.rig import OPERATIONS, Issuer, feeding, settings, write
from tests.waiting import PATIENCE_S, eventually

EXAMPLES = 25
"""Requests of each kind for each operation."""
HONEST = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.ignored_auth,
]
CONFIG = SchemathesisConfig.from_dict(
    {"checks": {"negative_data_rejection": {"expected-statuses": ["4xx"]}}}
)
"""What is not as described is refused; 431 and 413 are no refusals by default."""
SCOPES = "read:*.* write:portfolios control dead:read dead:retry health recordings"
EVENTS = ("market.portfolios", "market.positions")
CONTROL = "market.control"
TICK = {"type": "trade", "symbol": "IBM", "ts_ns": 17, "price": 181.32, "size": 100}
LETTERS = 5
Place = tuple[str, int, int]


class Kafka:
    """The topics that may be written to, and what came into them since they were looked at."""

    def __init__(self, given, origin):
        self.cluster = cluster_of(given.kafka)
        self.topics = (*EVENTS, CONTROL, origin)
        self.look()

    def look(self) -> None:
        self.marks = {topic: offset_bounds(self.cluster, topic) for topic in self.topics}

    def since(self) -> dict[Place, Message]:
        """Return the messages by their places."""
        consumer = Consumer({"bootstrap.servers": self.cluster.bootstrap, "group.id": "t"})
        found: dict[Place, Message] = {}
        for topic, before in self.marks.items():
            for number, (_, high) in offset_bounds(self.cluster, topic).items():
                consumer.assign([TopicPartition(topic, number, before[number][1])])
                for offset in range(before[number][1], high):
                    message = eventually(lambda: consumer.poll(1))
                    assert message.error() is None
                    assert message.offset() == offset
                    found[(topic, number, offset)] = message
        consumer.close()
        return found


class Feed:
    """The description that a feed tells of itself, and the servers behind it."""

    def __init__(self, address, given, token, kafka, system, origin):
        self.described = schemathesis.openapi.from_url(f"{address}/openapi.json", config=CONFIG)
        self.given, self.token, self.kafka = given, token, kafka
        self.system, self.origin = system, origin

    def requests(self, operation: Operation, mode: GenerationMode):
        """Return requests as described, of which half ask for a letter that there is; or others.

        What is not as described is the token of half of them, and the rest of the others.
        """
        described = self.described[operation.path][operation.method]
        if mode == GenerationMode.NEGATIVE:
            token = described.as_strategy(mode)
            if not faulty(operation):
                return token
            rest = described.as_strategy(mode, headers=self.token)
            return rest if operation.open else st.one_of(token, rest)
        made = described.as_strategy(mode, headers=self.token)
        if "/dead/" not in operation.path:
            return made
        known = (
            st.integers(0, LETTERS - 1)
            .map(lambda offset: self._letter(operation.path, str(offset)))
            .flatmap(lambda at: described.as_strategy(mode, path_parameters=at, headers=self.token))
        )
        return st.one_of(made, known)

    def _letter(self, path: str, offset: str) -> dict[str, str]:
        one = {"topic": self.origin, "partition": "0", "offset": offset, "sequence": "0"}
        return {"system": self.system} | (one if "{topic}" in path else {})


@pytest.fixture(scope="module")
def feed(kafka, valkey, postgres, tmp_path_factory):
    """A feed over bars in Redis and PostgreSQL, and dead letters in Kafka."""
    url, dsn = empty_redis(valkey), empty_database(postgres)
    found = [bar(number) for number in range(10)]
    write(url, "bars", found, [f"{b['symbol']}|1s" for b in found])
    made = partition(dsn)
    made.write_batch([bars(0, 10)])
    made.snapshot()
    made.close()
    system, origin = f"s{uuid.uuid4().hex}", f"ticks.{uuid.uuid4().hex}"
    create_topic(kafka, f"{system}.dead", 1)
    create_topic(kafka, origin, 1)
    producer = producing.producer(kafka.bootstrap)
    for offset in range(LETTERS):
        headers: list[tuple[str, str | bytes | None]] = [
            ("headrace-origin", f"{origin}/0/{offset}".encode()),
            ("headrace-sequence", b"0"),
            ("headrace-error", b"UnknownSchema"),
            ("headrace-reason", b"passing"),
            ("headrace-timestamp-ns", b"17"),
        ]
        producer.produce(f"{system}.dead", orjson.dumps(TICK), b"IBM", headers=headers)
    assert producer.flush(PATIENCE_S) == 0
    issuer = Issuer(tmp_path_factory.mktemp("keys"))
    many = {"requests_per_second": 100_000, "connections_per_second": 100_000}
    secured = {"port": 0, "jwks": issuer.jwks, "audience": "headrace"}
    given = settings(url, dsn, kafka.bootstrap, **secured, **many)
    wanted = dict.fromkeys((*EVENTS, CONTROL), 1)
    ensure_topics(cluster_of(given.kafka), wanted, {"retention.ms": "-1"})
    with feeding(given) as address:
        token = issuer.header(SCOPES, seconds=600)
        yield Feed(address, given, token, Kafka(given, origin), system, origin)


def faulty(operation: Operation) -> bool:
    """Return whether anything but the token can be wrong."""
    return bool(operation.parameters or operation.body)


KINDS = [
    pytest.param(operation, mode, id=f"{operation.method} {operation.path} {mode.value}")
    for operation in sorted(OPERATIONS, key=lambda each: (each.path, each.method))
    for mode in GenerationMode
    if mode == GenerationMode.POSITIVE or faulty(operation) or not operation.open
]


@pytest.mark.parametrize(("operation", "mode"), KINDS)
def test_whatever_is_asked_the_answer_and_the_topics_are_as_described(feed, operation, mode):
    answered = 0
    accepted = []
    feed.kafka.look()
    session = requests.Session()

    @given(case=feed.requests(operation, mode))
    @bounds(
        max_examples=EXAMPLES,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    def ask(case):
        nonlocal answered
        answer = case.call_and_validate(checks=HONEST, session=session)
        answered += 1
        if operation.body and mode == GenerationMode.POSITIVE and answer.status_code == 400:
            # JSON Schema takes 1.0 for an integer, and knows neither what time it is nor what
            # characters cannot be seen.
            assert answer.json()["field"] in {"ts_ns", "account"}
        if answer.status_code == 202:
            accepted.append((case, answer.json()))

    ask()
    session.close()
    assert answered > 0
    if operation.method == "POST" and mode == GenerationMode.POSITIVE:
        assert accepted, "no request came through"
    found = feed.kafka.since()
    if operation.path.endswith("/retry"):
        assert_retried(feed, found, accepted)
    else:
        assert_sent(feed, found, accepted)


def assert_sent(feed, found, accepted):
    """Each accepted event is where the answer says, nothing else is, and the flow takes it."""
    told = {(a["topic"], a["partition"], a["offset"]): (c.body, a) for c, a in accepted}
    assert len(told) == len(accepted), "two answers tell the same place"
    assert found.keys() == told.keys()
    for place, message in found.items():
        asked, answer = told[place]
        event = control_event(feed, message) if place[0] == CONTROL else event_of(feed, message)
        assert str(event["ts_ns"]) == answer["ts_ns"]
        for name in asked.keys() & event.keys() - {"ts_ns", "account"}:
            assert doubles(event[name]) == doubles(asked[name])


def doubles(value):
    """Return what was sent as an event holds it: numbers are doubles there."""
    if isinstance(value, dict):
        return {name: doubles(each) for name, each in value.items()}
    return float(value) if isinstance(value, int) else value


def event_of(feed, message):
    place = {message.partition(): message.offset()}
    block = EventDecoder(feed.given.of(Market).max_ahead).decode(
        to_messages([message], message.topic(), 1, place)
    )
    assert block.dead == []
    (event,) = block.rows
    return event.body


def control_event(feed, message):
    event = parse_json(message.value())
    at = Coordinates(CONTROL, message.partition(), message.offset())
    controls = Controls(feed.given.of(Trading).controls())
    limits = {"type": "limits", "account": event["account"], "ts_ns": 1}  # they make it known
    for body in (limits, event):
        controls.apply(Entry(at, at, event["ts_ns"], CONTROL, body))  # raises BadRecord
    return event


def assert_retried(feed, found, accepted):
    """Each retry is a message of its own, which the flow takes for the first one."""
    assert {topic for topic, _, _ in found} <= {feed.origin}
    asked = sorted(int(case.path_parameters["offset"]) for case, _ in accepted)
    ticks = []
    for (_, number, offset), message in found.items():
        mark = marked_cluster(feed.given).mark
        messages = to_messages([message], feed.origin, 1, {number: offset}, mark)
        block = TickDecoder(NS).decode(messages)
        assert block.dead == []
        assert block.retried.tolist() == [1]
        ticks += block.offset.tolist()
    assert sorted(ticks) == asked
