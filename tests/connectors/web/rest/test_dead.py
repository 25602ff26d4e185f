"""Dead letters, listed, shown and sent again through a real Kafka."""

from __future__ import annotations

import uuid

import pytest
from confluent_kafka import Producer

from connectors.kafka.topics import watermarks
from flows.live import cluster_of
from tests.conftest import create_topic
from tests.connectors.web.rest.rig import problem, serving, settings


class Rig:
    """A system with three letters from one topic, and the routes of them."""

    def __init__(self, client, system, origin):
        self.client, self.system, self.origin = client, system, origin
        self.listed = f"/api/v1/dead/{system}"

    def one(self, offset: int) -> str:
        return f"{self.listed}/{self.origin}/0/{offset}/0"


@pytest.fixture
def rig(kafka, topic):
    origin = topic(stem="ticks")
    system = f"s{uuid.uuid4().hex}"
    create_topic(kafka, f"{system}.dead", 1)
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for number, value in enumerate((b"{", b"\xff", None)):
        headers: list[tuple[str, str | bytes | None]] = [
            ("headrace-origin", f"{origin}/0/{number}".encode()),
            ("headrace-sequence", b"0"),
            ("headrace-error", b"Malformed" if number < 2 else b"WrongType"),
            ("headrace-reason", b"no JSON"),
            ("headrace-timestamp-ns", str(1_700_000_000_000_000_000 + number).encode()),
        ]
        if value is None:
            headers.append(("headrace-length", b"2000000"))
        producer.produce(f"{system}.dead", value, b"key", headers=headers)
    producer.flush(10)
    with serving(settings(bootstrap=kafka.bootstrap)) as client:
        yield Rig(client, system, origin)


def test_letters_are_listed_without_their_contents(rig):
    found = rig.client.get(rig.listed).json()
    assert found["total"] == 3
    expected = [f"{rig.origin}/0/{offset}/0" for offset in range(3)]
    assert [r["coordinates"] for r in found["records"]] == expected
    assert found["records"][0]["timestamp_ns"] == "1700000000000000000"
    assert all("value" not in r and "key" not in r for r in found["records"])


def test_a_list_can_be_short_or_of_one_error(rig):
    found = rig.client.get(rig.listed, params={"error": "Malformed", "limit": 1}).json()
    assert found["total"] == 2
    assert [r["coordinates"] for r in found["records"]] == [f"{rig.origin}/0/1/0"]


def test_one_letter_is_shown_with_its_value(rig):
    assert rig.client.get(rig.one(0)).json()["value"] == "{"
    assert rig.client.get(rig.one(1)).json()["value"] == "hex:ff"
    left_out = rig.client.get(rig.one(2)).json()
    assert (left_out["key"], left_out["value"], left_out["length"]) == ("key", None, 2_000_000)
    problem(rig.client.get(rig.one(3)), 404)


def test_a_letter_is_sent_again_to_where_it_came_from(rig, kafka):
    cluster = cluster_of(settings(bootstrap=kafka.bootstrap).kafka)
    assert rig.client.post(rig.one(0) + "/retry").json() == {"retried": 1}
    assert watermarks(cluster, rig.origin) == {0: (0, 1)}
    problem(rig.client.post(rig.one(2) + "/retry"), 409)
    problem(rig.client.post(rig.one(3) + "/retry"), 404)
    assert watermarks(cluster, rig.origin) == {0: (0, 1)}


def test_a_system_without_dead_letters_is_not_found(kafka):
    with serving(settings(bootstrap=kafka.bootstrap)) as client:
        problem(client.get("/api/v1/dead/nobody"), 404, "system")
        problem(client.get("/api/v1/dead/nobody/t/0/0/0"), 404)
        problem(client.get("/api/v1/dead/No.Body"), 404, "system")
