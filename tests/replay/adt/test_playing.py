"""`headrace simulate adt --mllp`: a hospital as of now, through a listener."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime

import pytest

from connectors.adt.messages import parse
from flows.__main__ import main
from replay.adt.people import BEGIN, DAY_S, MINUTE_S
from replay.adt.playing import PAST_S, WEEK_S, Clock, messages
from state.clock import NS
from tests.connectors.mllp.rig import listening

NOW_S = datetime(2026, 12, 1, 12, 40, tzinfo=UTC).timestamp()
SPEED = 300.0
CLOCK = Clock.starting(NOW_S, SPEED)


class Wall:
    """A clock that goes on only where somebody waits."""

    def __init__(self) -> None:
        self.now_s = NOW_S

    def now(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> None:
        assert seconds > 0
        self.now_s += seconds


def test_the_hospital_has_the_hour_and_the_weekday_of_now():
    there = datetime.fromtimestamp(BEGIN.timestamp() + CLOCK.past_s, UTC)
    here = datetime.fromtimestamp(NOW_S, UTC)
    assert (there.weekday(), there.time()) == (here.weekday(), here.time())
    assert PAST_S <= CLOCK.past_s < PAST_S + WEEK_S


def test_what_is_past_keeps_its_length_and_what_comes_is_squeezed():
    before, after = CLOCK.past_s - DAY_S, CLOCK.past_s + 5 * MINUTE_S
    assert CLOCK.unix_s(before) == NOW_S - DAY_S
    assert CLOCK.unix_s(after) == NOW_S + 1


def test_times_of_a_message_are_told_anew_but_for_the_date_of_birth():
    monday = datetime.fromtimestamp(BEGIN.timestamp() + CLOCK.past_s - DAY_S, UTC)
    raw = f"MSH|^~\\&|SIM|H|F|H|{monday:%Y%m%d%H%M%S}+0000||x\rPID|1||7||A^B||19570304|F\r".encode()
    told = CLOCK.told(raw)
    assert b"|20261130124000.0000+0000||x\r" in told
    assert b"|19570304|F\r" in told


def test_no_message_comes_before_its_time_and_each_after_the_one_before():
    wall = Wall()
    came = 0
    for raw in itertools.islice(messages(CLOCK, 1, wall.now, wall.wait), 13_000):
        said = parse(raw)
        if said.statements:
            assert said.recorded_ns <= wall.now_s * NS
        came += wall.now_s > NOW_S
    assert came > 300, "the past is not all of it"
    assert wall.now_s < NOW_S + DAY_S


def test_the_messages_of_a_hospital_reach_a_listener(kafka, topic, monkeypatch, capsys):
    with listening(kafka.bootstrap, topic()) as rig:
        monkeypatch.setenv("HEADRACE_MLLP__PORT", str(rig.port))
        assert main(["simulate", "adt", "--seed", "1", "--mllp", "--count", "300"]) == 0
        accepted = re.fullmatch(r"300 accepted, 0 refused\n", capsys.readouterr().out)
        assert accepted
        stored = {bytes(each) for each in rig.stored()}
    # What is sent twice with the same bytes is stored once.
    assert 280 <= len(stored) <= 300
    assert all(b"|SIM|HEADRACE|" in raw for raw in stored)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--mllp", "--out", "x.parquet", "--count", "1"], "not allowed with"),
        (["--count", "1"], "one of the arguments --out --mllp is required"),
    ],
)
def test_a_hospital_goes_into_a_file_or_to_a_listener(words, told, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["simulate", "adt", "--seed", "1", *words])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_a_recording_needs_a_count(capsys):
    assert main(["simulate", "adt", "--seed", "1", "--out", "x.parquet"]) == 2
    assert "--count" in capsys.readouterr().err
