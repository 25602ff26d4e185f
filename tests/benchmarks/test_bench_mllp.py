"""``headrace bench mllp``, short: every figure is there, its messages are new, and stored."""

from __future__ import annotations

from itertools import islice

import orjson
import pytest

from benchmarks.adt.listener import Listening, settings
from benchmarks.adt.mllp import Load
from benchmarks.adt.mllp_load import messages
from benchmarks.rig import Rig
from connectors.adt.envelope import TOPIC
from connectors.mllp.sender import Sender
from flows.__main__ import main
from flows.engine.ports import HOST, free_port
from state.errors import Broken
from tests.waiting import PATIENCE_S

SHORT = ("--connections", "3", "--messages", "60", "--window", "4", "--idle", "5", "--repeats", "1",
         "--rate", "20", "--seconds", "2")  # fmt: skip


def test_every_figure_is_there(capsys):
    assert main(["bench", "mllp", *SHORT, "--json"]) == 0
    figures = orjson.loads(capsys.readouterr().out)["figures"]
    assert [each["part"] for each in figures] == ["a"] * 8 + ["b"] * 8 + ["c"] * 2 + ["d"] * 9
    told = [each for each in figures if each["part"] != "c" and each["unit"] != "cores"]
    seen = {each["name"]: each["value"] for each in figures if each["part"] == "d"}
    assert all(each["value"] > 0 for each in told if not each["name"].startswith("answered"))
    assert seen["due -> seen, p50"] > seen["answered -> seen, p50"]


def test_the_messages_are_of_adt_and_no_two_are_the_same():
    made = list(islice(messages(1, 0), 3000))
    assert len(set(made)) == 3000
    assert {each.split(b"|")[8][:4] for each in made} == {b"ADT^"}
    assert not set(made) & set(islice(messages(1, 3000), 3000)), "other ids are other bytes"


def test_a_message_that_was_stored_before_is_no_figure(tmp_path):
    port = free_port()
    with Rig(tmp_path, settings(port)) as rig:
        listening = Listening(rig, port)
        Sender((HOST, port), PATIENCE_S, lambda *_: None).send(islice(messages(1, 0), 1))
        with pytest.raises(Broken, match="20 messages were accepted and 19 are in Kafka"):
            Load(listening, 2, 20).trial(2)
        assert rig.produced(TOPIC) == 20
