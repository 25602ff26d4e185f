"""``headrace bench fuzz``, short; and that it finds what is wrong, and tells no content of it."""

from __future__ import annotations

import random

import pytest

from benchmarks.adt import fuzz, guard
from benchmarks.adt.fuzz import fuzz_messages, fuzz_streams
from benchmarks.adt.guard import Failure, Wrong
from benchmarks.adt.mutations import damaged, messages
from benchmarks.adt.streams import Stream, converse, stream
from connectors.adt import messages as messages_of_adt
from connectors.mllp.conversation import Conversation
from connectors.mllp.frames import END, START, Frames
from flows.__main__ import main
from operators.adt.timeline import Timeline
from state.adt.triggers import KNOWN

SEED = 20
COUNT = 1500
PATIENT = "TESTCASE"


def test_damaged_messages_and_streams_do_no_harm(capsys):
    words = ["--messages", str(COUNT), "--streams", str(COUNT), "--seed", str(SEED)]
    assert main(["bench", "fuzz", *words]) == 0
    said = capsys.readouterr().out
    for outcome in (
        "refused",
        "is of the future",
        "says nothing",
        "told",
        "all of it arrived",
        "some of it arrived",
    ):
        assert f" {outcome}" in said


def test_input_n_follows_from_the_seed_and_n():
    def outcomes(begin, count):
        return fuzz_messages(SEED, begin, count).outcomes

    assert outcomes(0, 100) + outcomes(100, 100) == outcomes(0, 200)


def test_the_messages_have_every_trigger_and_each_says_what_it_should():
    made = messages(SEED)
    assert {each.split(b"|")[8][4:7].decode() for each in made} >= KNOWN
    for each in made:
        messages_of_adt.parse(each)
    rng = random.Random(SEED)
    assert len({damaged(rng, made[0], made) for _ in range(100)}) > 90


def told(capsys, part):
    """Return what the command says of a failure, once it has ended with 1."""
    assert main(["bench", "fuzz", "--only", part, f"--{part}", "300", "--seed", str(SEED)]) == 1
    said = capsys.readouterr().out
    assert PATIENT not in said
    assert said.startswith(f"seed {SEED}: {part[:-1]} ")
    return said


def test_an_error_that_is_no_bad_record_is_found(monkeypatch, capsys):
    def parse(raw, zone=None):
        raise ValueError(raw)

    monkeypatch.setattr(messages_of_adt, "parse", parse)
    said = told(capsys, "messages")
    assert "message 0 fails (to repeat it, begin with 0): ValueError at " in said


def test_a_timeline_that_breaks_is_found_and_where_it_began(monkeypatch):
    def process(self, item, outbox):
        if item.rows[0].coordinates.offset >= 702:
            raise KeyError(PATIENT)
        return ()

    monkeypatch.setattr(Timeline, "process", process)
    with pytest.raises(Failure) as found:
        fuzz_messages(SEED, 0, 1000)
    _, number, begin, fault = found.value.args
    assert (number >= 702, begin) == (True, 500)
    assert PATIENT not in fault


def test_an_input_that_takes_too_long_is_found_though_it_never_ends(monkeypatch):
    def parse(raw, zone=None):
        while True:
            pass

    monkeypatch.setattr(messages_of_adt, "parse", parse)
    monkeypatch.setattr(guard, "LIMIT_S", 0.05)
    with pytest.raises(Failure, match="TooSlow"):
        fuzz_messages(SEED, 0, 1)


def test_memory_that_grows_is_found(monkeypatch):
    held: list[bytes] = []

    def converse(*_):
        held.append(b"x" * (1 << 16))
        return "held"

    monkeypatch.setattr(guard, "MEMORY", 8 << 20)
    monkeypatch.setattr(fuzz, "converse", converse)
    with pytest.raises(Failure, match="grown by"):
        fuzz_streams(SEED, 0, 1001)


def test_a_frame_that_pieces_lose_is_found(monkeypatch):
    """Frames that forget what a call before has left."""

    def receive(self, data, whole=Frames.receive):
        self._held.clear()
        self._inside = False
        self._scanned = 0
        return whole(self, data)

    monkeypatch.setattr(Frames, "receive", receive)
    with pytest.raises(Failure, match="of its pieces differ"):
        fuzz_streams(SEED, 0, 100)


def test_a_message_without_an_answer_is_found(monkeypatch):
    monkeypatch.setattr(Conversation, "due", lambda self, due=Conversation.due: due(self)[:-1])
    with pytest.raises(Wrong, match="not as many answers"):
        converse(random.Random(1), Stream(START + messages(SEED)[0] + END, []))


def test_a_sound_message_that_does_not_arrive_is_found():
    given = stream(random.Random(1), messages(SEED))
    with pytest.raises(Wrong, match="did not arrive"):
        converse(random.Random(1), given._replace(sound=[*given.sound, b"MSH|another"]))
