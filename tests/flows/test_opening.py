"""Sealed values are opened before they are decoded, and what does not open is a dead letter."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import orjson
import pytest

from connectors.kafka.client import Cluster
from flows.config import load
from flows.engine.flows import find_flow
from flows.engine.generation import Start
from flows.engine.opening import Opening, check_keys, opened
from replay.message import Message
from state.errors import Misuse
from state.records import HEARTBEAT_HEADER, Messages, heartbeat_header
from state.rows import RowBlock
from state.sealed_values import MAGIC, ValueOpener, ValueSealer
from state.sealing import Keyring, Seal
from tests import producing
from tests.flows.runs import headrace, settings
from tests.replay.recordings import write
from tests.system.adt import CANARY, messages

KEYRING = Keyring.generate()
SEAL = Seal(KEYRING)
SEALER = ValueSealer(SEAL, "adt.raw")
FORGED = MAGIC + os.urandom(120)


def block(values: Sequence[bytes]) -> Messages:
    count = len(values)
    starts = np.concatenate(([0], np.cumsum([len(value) for value in values]))).astype(np.int64)
    return Messages(
        topic="adt.raw",
        partitions=1,
        partition=np.zeros(count, np.int32),
        offset=np.arange(count) + 10,
        timestamp_ns=np.arange(count) * 1000,
        keyed=np.ones(count, np.bool_),
        data=np.frombuffer(b"".join(values), np.uint8),
        starts=starts,
        keys=[b"key%d" % row for row in range(count)],
        headers={row: [("row", b"%d" % row)] for row in range(count) if row % 2},
        ranges={0: (10, 10 + count)},
    )


def rows(found: Messages) -> list[tuple[int, bytes, bytes | None, bytes]]:
    return [
        (
            int(found.offset[row]),
            found.value(row),
            found.keys[row],
            dict(found.headers.get(row, ())).get("row", b""),
        )
        for row in range(len(found))
    ]


@pytest.mark.parametrize("sealed", [(), (0,), (1, 3), (0, 1, 2, 3)])
def test_sealed_and_clear_values_are_the_same_messages(sealed: tuple[int, ...]) -> None:
    clear = [b"one", b"", b"MSH|three", b"4"]
    given = block([SEALER.seal(v) if row in sealed else v for row, v in enumerate(clear)])
    found, dead = opened(given, ValueOpener(SEAL))
    assert rows(found) == rows(block(clear))
    assert (found.ranges, dead) == ({0: (10, 14)}, [])


def test_a_block_in_clear_is_handed_on_as_it_is() -> None:
    given = block([b"", b"one", b""])
    assert opened(given, ValueOpener(SEAL))[0] is given


def test_what_does_not_open_is_a_dead_letter_with_its_bytes() -> None:
    unknown = ValueSealer(Seal(KEYRING.rotated()), "adt.raw").seal(b"two")
    given = block([SEALER.seal(b"zero"), FORGED, unknown, b"three"])
    found, dead = opened(given, ValueOpener(SEAL))
    assert rows(found) == [(10, b"zero", b"key0", b""), (13, b"three", b"key3", b"3")]
    assert found.ranges == {0: (10, 14)}, "all of it is done with"
    assert [(each.coordinates.offset, each.value, each.key) for each in dead] == [
        (11, FORGED, b"key1"),
        (12, unknown, b"key2"),
    ]
    assert [each.error for each in dead] == ["Unopened"] * 2
    assert "does not open" in dead[0].reason
    assert "'k2'" in dead[1].reason


def test_a_decoder_s_block_gets_the_letters() -> None:
    decode = Opening(ValueOpener(SEAL), RowBlock[int].of)
    made = decode(block([FORGED, b"one"]))
    assert [each.value for each in made.dead] == [FORGED]
    assert made.ranges == {0: (10, 12)}


def test_a_heartbeat_stays_one() -> None:
    name, value = heartbeat_header(7)
    given = block([SEALER.seal(b"zero"), b""])
    given.headers[1] = [(name, value)]
    found, _ = opened(given, ValueOpener(SEAL))
    assert (found.value(1), dict(found.headers[1])) == (b"", {HEARTBEAT_HEADER: value})


MESSAGES = messages(4, 40, 1)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return settings("127.0.0.1:1", "redis://127.0.0.1:1", tmp_path) | {
        "HEADRACE_SEALING__KEYS": KEYRING.text()
    }


def replayed(
    env: dict[str, str], directory: Path, given: list[Message], *more: str
) -> dict[str, bytes]:
    recording = write(directory / "in.parquet", {"adt.raw": 1}, given)
    out = directory / "out"
    done = headrace(env, "replay", "adt", str(recording), "--out", str(out), *more)
    assert done.returncode == 0, done.stderr
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.jsonl")}


def test_a_replay_of_sealed_values_gives_the_bytes_of_those_in_clear(env, tmp_path):
    sealed = [
        m._replace(value=SEALER.seal(m.value or b"")) if place % 3 else m
        for place, m in enumerate(MESSAGES)
    ]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert replayed(env, tmp_path / "a", MESSAGES) == replayed(env, tmp_path / "b", sealed)


def test_a_replay_without_the_key_says_so_in_each_letter(env, tmp_path):
    sealed = [m._replace(value=SEALER.seal(m.value or b"")) for m in MESSAGES]
    bare = {name: value for name, value in env.items() if "SEALING" not in name}
    found = replayed(bare, tmp_path, sealed, "--plaintext")
    letters = [orjson.loads(line) for line in found["dead.jsonl"].splitlines()]
    assert len(letters) == len(MESSAGES)
    assert {each["error"] for each in letters} == {"Unopened"}
    assert {each["reason"].partition(":")[0] for each in letters} == {
        "messages of adt.raw are sealed"
    }
    assert not [name for name, content in found.items() if CANARY.encode() in content]


def test_a_flow_does_not_start_without_the_key_of_the_newest_message(kafka, topic):
    name = topic(2)
    start = Start("adt", 1, "", {name: {0: 0, 1: 0}}, {}, {}, {})
    cluster, flow = Cluster(kafka.bootstrap), find_flow("adt")
    producer = producing.producer(kafka.bootstrap)

    def produce(keyring: Keyring, partition: int) -> None:
        producer.produce(name, ValueSealer(Seal(keyring), name).seal(b"MSH"), partition=partition)
        assert producer.flush(60) == 0

    def check(keyring: Keyring) -> None:
        given = load(environ={"HEADRACE_SEALING__KEYS": keyring.text()}).settings
        check_keys(flow, start, cluster, given)

    check(KEYRING)  # an empty topic
    produce(KEYRING, 0)
    check(KEYRING)
    rotated = KEYRING.rotated()
    produce(rotated, 1)
    check(rotated)
    with pytest.raises(Misuse, match="'k2'"):
        check(KEYRING)
    with pytest.raises(Misuse, match="another key of the same id"):
        check(Keyring.generate())
    produce(KEYRING, 1)
    check(KEYRING)
