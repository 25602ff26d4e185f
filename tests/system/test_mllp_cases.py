"""The cases from the field that are dialogues with a listener (shared/data/adt/cases)."""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path
from typing import Any

import orjson
import pytest

from flows.servers import KafkaBroker
from tests.conftest import create_topic
from tests.connectors.mllp.rig import Client, Rig, listening
from tests.waiting import PATIENCE_S, eventually

FOLDER = Path(__file__).parents[3] / "shared/data/adt/cases"
CASES = {
    path.stem: case
    for path in sorted(FOLDER.glob("*.json"))
    if "dialogue" in (case := orjson.loads(path.read_bytes()))["input"]
}
ACK_TIMEOUT = {"d14": "1s"}
"""Of the cases that wait for its end; in the others Kafka comes back before."""

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not CASES, reason=f"{FOLDER} is not here: it holds the cases"),
]


class Dialogue:
    """The steps of a case, each by its name."""

    def __init__(self, rig: Rig, broker: KafkaBroker) -> None:
        self._rig = rig
        self._client: Client = rig.client()
        self._broker = broker
        self._sent: list[str] = []

    def step(self, name: str, value: Any) -> None:
        """Take a step; what it expects is asserted."""
        getattr(self, f"_{name}")(value)

    def _send(self, text: str) -> None:
        self._client.sock.sendall(text.encode("latin_1"))

    def _send_many(self, given: dict[str, Any]) -> None:
        first = re.search(r"(?<=\|)C1(?=\|)", given["message"])
        assert first, "the message's id is C1"
        assert given["distinct_control_ids"]
        for number in range(given["count"]):
            self._sent.append(f"C{number}")
            head, tail = given["message"][: first.start()], given["message"][first.end() :]
            self._send(head + self._sent[-1] + tail)

    def _half_close(self, _: bool) -> None:
        self._client.sock.shutdown(socket.SHUT_WR)

    def _expect_none_ms(self, milliseconds: int) -> None:
        assert self._client.says_nothing(milliseconds / 1000)

    def _expect_ack(self, wanted: dict[str, str]) -> None:
        told = self._client.answer()
        assert told.text("MSA", 1) == wanted["code"]
        assert told.text("MSA", 2) == wanted["for"]
        assert told.text("ERR", 3) == wanted.get("err", "")
        assert told.text("MSA", 4) == wanted.get("msa4", "")

    def _expect_acks(self, count: int) -> None:
        answers = [self._client.ack() for _ in range(count)]
        assert [(each.code, each.control) for each in answers] == [
            ("AA", control) for control in self._sent
        ]

    def _expect_close(self, _: bool) -> None:
        assert self._client.is_closed()

    def _kafka(self, what: str) -> None:
        match what:
            case "pause":
                os.kill(self._broker.pid, signal.SIGSTOP)
            case "resume":
                os.kill(self._broker.pid, signal.SIGCONT)
            case "down":
                self._broker.stop()
            case "up":
                self._broker.start()
                # What was refused stays in the producer, and may still be stored: then Kafka is
                # there again for sure, and what is sent again is known.
                eventually(self._rig.stored)
            case _:
                raise AssertionError(what)


@pytest.mark.parametrize("name", CASES or ["none"])
def test_a_dialogue_goes_as_the_case_says(own_kafka, name):
    case = CASES[name]
    assert "settings" not in case
    topic = f"adt.{name}"
    create_topic(own_kafka, topic, 1)
    timeout = ACK_TIMEOUT.get(name, f"{PATIENCE_S:g}s")
    with listening(own_kafka.bootstrap, topic, ack_timeout=timeout) as rig:
        dialogue = Dialogue(rig, own_kafka)
        for each in case["input"]["dialogue"]:
            ((step, value),) = each.items()
            dialogue.step(step, value)
        assert set(case["expect"]) == {"records"}
        eventually(lambda: len(rig.stored()) == case["expect"]["records"])
        assert rig.letters() == []
