"""Dead letters, listed, shown and sent again through a real Kafka."""

from __future__ import annotations

import gc
import threading
import tracemalloc
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from connectors.kafka.client import Cluster
from connectors.kafka.sink import SEALED_HEADER
from connectors.kafka.topics import offset_bounds
from connectors.web.rest.parts import Listed
from flows.dead import parse
from flows.engine.cluster import cluster_of
from flows.feed.letters import Letters
from tests import producing
from tests.conftest import create_topic, delete_messages, delete_topic
from tests.connectors.web.patients import entries, told
from tests.connectors.web.rest.rig import expect_problem, serving, settings
from tests.waiting import PATIENCE_S

Headers = list[tuple[str, str | bytes | None]]


class Dead:
    """A system's dead-letter topic, and what was written to it."""

    def __init__(self, kafka, origin):
        self.origin, self.kafka = origin, kafka
        self.system = f"s{uuid.uuid4().hex}"
        self.topic = f"{self.system}.dead"
        self.listed = f"/api/v1/dead/{self.system}"
        create_topic(kafka, self.topic, 1)
        self.producer = producing.producer(kafka.bootstrap)

    def write(
        self,
        first: int,
        values: list[bytes | None],
        error="Malformed",
        reason="no JSON",
        sealed=False,
    ):
        """Write letters of messages from the offset ``first`` on; None: a value left out."""
        for number, value in enumerate(values, first):
            headers: Headers = [
                ("headrace-origin", f"{self.origin}/0/{number}".encode()),
                ("headrace-sequence", b"0"),
                ("headrace-error", error.encode()),
                ("headrace-reason", reason.encode()),
                ("headrace-timestamp-ns", str(1_700_000_000_000_000_000 + number).encode()),
            ]
            if value is None:
                headers.append(("headrace-length", b"2000000"))
            if sealed:
                headers.append((SEALED_HEADER, b"1"))
            self.producer.produce(self.topic, value, b"key", headers=headers)
        assert self.producer.flush(PATIENCE_S) == 0

    def forget(self, before: int) -> None:
        """Delete what is in front of an offset, as retention does."""
        delete_messages(self.kafka, self.topic, before)

    def name(self, offset: int) -> str:
        return f"{self.origin}/0/{offset}/0"

    def one(self, offset: int) -> str:
        return f"{self.listed}/{self.name(offset)}"


@pytest.fixture
def dead(kafka, topic):
    return Dead(kafka, topic(stem="ticks"))


class Rig(Dead):
    """A system with three letters from one topic, and a client of the routes."""

    def __init__(self, kafka, origin, client):
        super().__init__(kafka, origin)
        self.client = client
        self.write(0, [b"{", b"\xff"])
        self.write(2, [None], error="WrongType")

    def names(self) -> list[str]:
        return [r["coordinates"] for r in self.client.get(self.listed).json()["records"]]


@pytest.fixture
def rig(kafka, topic):
    with serving(settings(bootstrap=kafka.bootstrap)) as client:
        yield Rig(kafka, topic(stem="ticks"), client)


@pytest.fixture
def parsed(monkeypatch):
    """The offsets of the dead-letter messages that were read, in their order."""
    offsets = []

    def counted(message):
        offsets.append(message.offset())
        return parse(message)

    monkeypatch.setattr("flows.feed.letters.parse", counted)
    return offsets


def test_a_letter_that_is_shown_is_audited_where_it_may_hold_patient_data(kafka, topic, tmp_path):
    path = tmp_path / "reads.jsonl"
    with serving(settings(bootstrap=kafka.bootstrap, audit=path)) as client:
        rig = Rig(kafka, topic(stem="ticks"), client)
        assert client.get(rig.one(0)).status_code == 200
        assert not path.exists()  # it is in clear, and of no system with secret outputs
        rig.write(3, [b"sealed"], sealed=True)
        assert client.get(rig.one(3)).json()["value"] is None
        [event] = entries(path)
        assert told(event)["what"] == rig.name(3)
        assert event["action"] == "R"
        path.unlink()
        expect_problem(client.get(rig.one(3)), 503)
        assert client.get(rig.one(0)).status_code == 200


def test_letters_are_listed_without_their_contents(rig):
    found = rig.client.get(rig.listed).json()
    assert (found["total"], found["complete"]) == (3, True)
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
    expect_problem(rig.client.get(rig.one(3)), 404)


def test_a_letter_is_sent_again_to_where_it_came_from(rig, kafka):
    cluster = cluster_of(settings(bootstrap=kafka.bootstrap).kafka)
    assert rig.client.post(rig.one(0) + "/retry").json() == {"retried": 1}
    assert offset_bounds(cluster, rig.origin) == {0: (0, 1)}
    expect_problem(rig.client.post(rig.one(2) + "/retry"), 409)
    expect_problem(rig.client.post(rig.one(3) + "/retry"), 404)
    assert offset_bounds(cluster, rig.origin) == {0: (0, 1)}


def test_an_unknown_system_is_not_found(kafka):
    with serving(settings(bootstrap=kafka.bootstrap)) as client:
        expect_problem(client.get("/api/v1/dead/nobody"), 404, "system")
        expect_problem(client.get("/api/v1/dead/nobody/t/0/0/0"), 404)
        expect_problem(client.get("/api/v1/dead/No.Body"), 404, "system")


def test_a_second_list_reads_only_what_came_since(rig, parsed):
    assert len(rig.names()) == 3
    assert parsed == [0, 1, 2]
    assert len(rig.names()) == 3
    assert parsed == [0, 1, 2]
    rig.write(3, [b"{"])
    assert rig.names()[-1] == rig.name(3)
    assert parsed == [0, 1, 2, 3]
    assert rig.client.get(rig.one(1)).json()["value"] == "hex:ff"
    assert rig.client.post(rig.one(0) + "/retry").status_code == 202
    expect_problem(rig.client.get(rig.one(4)), 404)
    assert parsed == [0, 1, 2, 3, 1, 0], "one letter is one message"


def test_lists_at_the_same_time_are_all_whole(rig, parsed):
    rig.write(3, [b"{"] * 500)
    found = []
    asked = {"limit": 1000}

    def ask():
        found.append(rig.client.get(rig.listed, params=asked).json()["total"])
        found.append(rig.client.get(rig.one(1)).json()["value"])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found, key=str) == [503] * 8 + ["hex:ff"] * 8
    assert len(parsed) == 503 + 8


def test_a_letter_that_fails_again_is_the_same_letter(rig):
    rig.write(0, [b"{"], reason="still no JSON")
    found = rig.client.get(rig.listed).json()
    assert found["total"] == 3
    assert found["records"][0]["reason"] == "still no JSON"
    rig.forget(before=1)
    assert rig.names() == [rig.name(offset) for offset in range(3)]


def test_what_retention_has_deleted_is_listed_no_longer(rig):
    assert len(rig.names()) == 3
    rig.forget(before=2)
    found = rig.client.get(rig.listed).json()
    assert (found["total"], found["complete"]) == (1, True)
    assert rig.names() == [rig.name(2)]
    expect_problem(rig.client.get(rig.one(1)), 404)
    expect_problem(rig.client.post(rig.one(1) + "/retry"), 404)


def test_a_topic_that_is_made_anew_has_its_own_letters(rig, kafka):
    assert len(rig.names()) == 3
    delete_topic(kafka, rig.topic)
    expect_problem(rig.client.get(rig.listed), 404, "system")
    expect_problem(rig.client.get(rig.one(0)), 404)
    create_topic(kafka, rig.topic, 1)
    rig.write(7, [b"{", b"{", b"{"])
    assert rig.names() == [rig.name(offset) for offset in (7, 8, 9)]


def test_a_system_that_has_not_run_here_has_no_letters(own_kafka):
    with serving(settings(bootstrap=own_kafka.bootstrap)) as client:
        found = client.get("/api/v1/dead/adt").json()
        assert found == {"total": 0, "complete": True, "records": [], "missing": "adt.dead"}


def test_a_topic_that_is_made_later_is_found(kafka, topic):
    with serving(settings(bootstrap=kafka.bootstrap)) as client:
        rig = Rig(kafka, topic(stem="ticks"), client)
        other = rig.listed + "x"
        expect_problem(client.get(other), 404)
        create_topic(kafka, f"{rig.system}x.dead", 1)
        assert client.get(other).json() == {"total": 0, "complete": True, "records": []}


def test_what_is_no_letter_hides_no_other(rig, caplog):
    rig.producer.produce(rig.topic, b"what is this?")
    rig.write(3, [b"{"])
    assert rig.names() == [rig.name(offset) for offset in range(4)]
    assert f"{rig.topic}[0] offset 3 is no dead letter" in caplog.text
    assert "what is this" not in caplog.text


def listed(kept: Letters, dead: Dead) -> Listed:
    found = kept.listed(dead.system)
    assert found is not None
    return found


def test_only_the_newest_are_kept_and_it_is_said(dead):
    kept = Letters(Cluster(dead.kafka.bootstrap), newest=100)
    dead.write(0, [b"{"] * 100)
    assert listed(kept, dead).complete
    dead.write(100, [b"{"] * 50)
    found = listed(kept, dead)
    assert [each["coordinates"] for each in found.letters] == [dead.name(n) for n in range(50, 150)]
    assert not found.complete
    assert kept.shown(dead.system, dead.name(49)) is None
    shown = kept.shown(dead.system, dead.name(50))
    assert shown is not None
    assert shown["value"] == "{"
    dead.forget(before=50)
    assert listed(kept, dead).complete
    kept.close()


def test_memory_does_not_grow_with_the_topic(dead):
    kept = Letters(Cluster(dead.kafka.bootstrap), newest=100)
    dead.write(0, [b"x" * 1000] * 200)
    kept.listed(dead.system)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for first in range(200, 5_000, 400):
            dead.write(first, [b"x" * 1000] * 400)
            assert len(listed(kept, dead).letters) == 100
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    kept.close()
    # 4,800 letters came by, of 5 MB; the facts of one are about 1 kB.
    assert grown < 300_000


def test_a_broker_that_goes_is_told_and_comes_back(own_kafka):
    with serving(settings(bootstrap=own_kafka.bootstrap)) as client:
        rig = Rig(own_kafka, "ticks", client)
        assert len(rig.names()) == 3
        own_kafka.stop()
        asked = (rig.listed, rig.one(0), rig.one(0))
        with ThreadPoolExecutor(len(asked)) as pool:
            for answer in pool.map(client.get, asked):
                assert "Kafka" in expect_problem(answer, 503)["detail"]
        own_kafka.start()
        rig.write(3, [b"{"])
        assert rig.names() == [rig.name(offset) for offset in range(4)]
        assert client.get(rig.one(0)).json()["value"] == "{"
