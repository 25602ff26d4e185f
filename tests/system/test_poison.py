"""Show 5: what cannot be used is set aside with its reason, and all around it goes on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
from confluent_kafka import Producer

from connectors.market.frames import encode_frame
from connectors.market.tick_columns import TickColumns
from replay.recording import Recording
from state.clock import NS
from state.records import HEARTBEAT_HEADER
from tests.conftest import create_topic
from tests.flows.runs import Run, headrace, settings
from tests.replay.recordings import write
from tests.system.market import done, records, wait_until_done, written
from tests.waiting import PATIENCE_S

TOPIC, PARTITIONS = "market.ticks", 2
MINUTE_NS = 1_709_562_600 * NS
START_NS = MINUTE_NS + 10 * NS
GOOD = 600
LARGE = 10 << 20
STEP_NS = NS // 20


def trade(symbol: object, ts_ns: int, price: object, **more: object) -> bytes:
    """Return a trade as JSON."""
    tick = {"type": "trade", "symbol": symbol, "ts_ns": ts_ns, "price": price, "size": 10}
    return orjson.dumps(tick | more)


def frame(ts_ns: int, prices: list[float]) -> bytes:
    """Return a frame of trades of C."""
    n = len(prices)
    return encode_frame(
        TickColumns.of(
            kind=[1] * n, symbol=[0] * n, symbols=["C"], ts_ns=[ts_ns] * n, price=prices,
            size=[1.0] * n, ask=[0.0] * n, ask_size=[0.0] * n,
        )
    )  # fmt: skip


@dataclass
class Poisoned:
    """Good ticks with poison between them, in two partitions; and what must come of it."""

    messages: list[tuple[int, int, bytes | None, bytes, list]] = field(default_factory=list)
    expected: dict[str, str] = field(default_factory=dict)
    """Coordinates of each dead letter -> its error."""
    bad_offsets: set[tuple[int, int]] = field(default_factory=set)
    """(partition, offset) of messages of which nothing is good."""
    ends: list[int] = field(default_factory=lambda: [0] * PARTITIONS)

    def add(
        self,
        partition: int,
        ts_ns: int,
        value: bytes,
        key: bytes | None = b"k",
        headers: list | None = None,
        error: str = "",
        sequence: int = 0,
    ) -> str:
        """Add a message whose Kafka timestamp is ``ts_ns``; return the coordinates."""
        offset = self.ends[partition]
        self.ends[partition] += 1
        self.messages.append((partition, ts_ns // 1_000_000, key, value, headers or []))
        where = f"{TOPIC}/{partition}/{offset}/{sequence}"
        if error:
            self.expected[where] = error
            if not value.startswith(b"\x89HRF") or error != "OutOfRange":
                self.bad_offsets.add((partition, offset))
        return where


def future_heartbeat() -> list:
    return [(HEARTBEAT_HEADER, (2**61).to_bytes(8, "big", signed=True))]


def poison(ts_ns: int) -> list[dict]:
    """Return messages of every kind of trouble, with the error that each must have."""
    whole = frame(ts_ns, [5.0, 6.0])
    quote = b'{"type":"quote","symbol":"A","ts_ns":%d,"bid":%s,"bid_size":1}'
    return [
        {"value": b'{"type":"trade","symbol":"A"', "error": "Malformed"},
        {"value": b"", "error": "Malformed"},
        {"value": b"\xff\xfe\x00", "error": "Malformed"},
        {"value": trade("A", ts_ns, "9"), "error": "WrongType"},
        {"value": trade("A", ts_ns, True), "error": "WrongType"},
        {"value": trade(None, ts_ns, 9), "error": "WrongType"},
        {"value": b'{"type":"trade","symbol":"A","price":9,"size":1}', "error": "WrongType"},
        {"value": trade("A", ts_ns, -9.0), "error": "OutOfRange"},
        {"value": trade("A", ts_ns, 9, size=0), "error": "OutOfRange"},
        {"value": trade("A", ts_ns, 9, side="up"), "error": "OutOfRange"},
        {"value": quote % (ts_ns, b"-1"), "error": "OutOfRange"},
        {"value": quote % (ts_ns, b"NaN"), "error": "Malformed"},
        {"value": trade("A", ts_ns, 9), "key": None, "error": "NoKey"},
        {"value": whole[:-7], "error": "Malformed"},
        {"value": whole[:20], "error": "Malformed"},
        {"value": whole[:-1] + bytes([whole[-1] ^ 1]), "error": "BadChecksum"},
        {"value": frame(ts_ns, [5.0, float("nan")]), "error": "OutOfRange", "sequence": 1},
        {"value": frame(ts_ns, [-5.0, 5.0]), "error": "OutOfRange", "sequence": 0},
        {"value": trade("A", ts_ns + 10**18, 9), "error": "FromTheFuture"},
        {"value": b"", "headers": future_heartbeat(), "error": "FromTheFuture"},
        {"value": b"{" + b" " * LARGE, "error": "Malformed"},
    ]  # fmt: skip


@pytest.fixture(scope="module")
def poisoned() -> Poisoned:
    """Poison after every 20th good tick; one tick is only ahead of its Kafka timestamp."""
    made = Poisoned()
    for i in range(GOOD):
        ts_ns = START_NS + i * STEP_NS
        made.add(i % 2, ts_ns, trade("AB"[i % 2], ts_ns, 100 + i % 7, seq=i // 2))
        if i % 20 == 10 and i // 20 < len(kinds := poison(ts_ns)):
            made.add(int(i > 200), ts_ns, **kinds[i // 20])
    assert len(made.messages) == GOOD + len(kinds)
    return made


@pytest.fixture(scope="module")
def ahead(poisoned: Poisoned) -> str:
    """The coordinates of a trade that came 10 s before its time, at an odd price."""
    early_ns = START_NS + 5 * NS
    value = trade("B", early_ns + 10 * NS, 500.0)
    return poisoned.add(1, early_ns, value, error="FromTheFuture")


@dataclass(frozen=True)
class Outcome:
    """What one run left, with a retry in its middle."""

    env: dict[str, str]
    listed: str
    retried: dict
    again: str
    out: Path
    recording: Path
    files: dict[str, tuple[int, str]]


@pytest.fixture(scope="module")
def outcome(poisoned, ahead, own_kafka, own_valkey, tmp_path_factory) -> Outcome:
    """Run over the poison, list, retry what came before its time, then let time pass."""
    directory: Path = tmp_path_factory.mktemp("poison")
    create_topic(own_kafka, TOPIC, PARTITIONS, max_message_bytes=str(2 * LARGE))
    env = settings(own_kafka.bootstrap, own_valkey.url, directory)
    producer = Producer(
        {
            "bootstrap.servers": own_kafka.bootstrap,
            "message.max.bytes": 2 * LARGE,
            "enable.idempotence": True,
        }
    )

    def produce(partition: int, ms: int, key: bytes | None, value: bytes, headers: list) -> None:
        producer.produce(TOPIC, value, key, partition, timestamp=ms, headers=headers)

    def caught_up() -> None:
        assert producer.flush(PATIENCE_S) == 0
        wait_until_done(own_kafka.bootstrap, TOPIC, "headrace.market.1", PARTITIONS)

    for message in poisoned.messages:
        produce(*message)
    assert producer.flush(PATIENCE_S) == 0
    with Run(env, ("market",), directory / "log") as run:
        caught_up()
        listed = done(env, "dead", "list", "--json")
        retried = done(env, "dead", "retry", "--error", "FromTheFuture", "--json")
        caught_up()
        again = done(env, "dead", "list", "--json")
        end_ns = MINUTE_NS + 120 * NS
        header = [(HEARTBEAT_HEADER, end_ns.to_bytes(8, "big", signed=True))]
        for partition in range(PARTITIONS):
            produce(partition, end_ns // 1_000_000, None, b"", header)
        caught_up()
        assert run.end() == 0, run.log.read_text()
    files = written(env, "export", "market", "--out", directory / "live")
    done(env, "record", TOPIC, "--out", directory / "recorded.parquet")
    return Outcome(
        env,
        listed,
        orjson.loads(retried),
        again,
        directory / "live",
        directory / "recorded.parquet",
        files,
    )


def letters(listed: str) -> dict[str, dict]:
    """Return the letters of a list as JSON lines, by coordinates."""
    found = [orjson.loads(line) for line in listed.splitlines()]
    assert len({letter["coordinates"] for letter in found}) == len(found)
    return {letter["coordinates"]: letter for letter in found}


def test_each_is_a_dead_letter_with_its_coordinates_and_reason(poisoned, outcome):
    found = letters(outcome.listed)
    assert {name: letter["error"] for name, letter in found.items()} == poisoned.expected
    assert all(letter["reason"] for letter in found.values())


def test_a_list_names_the_field_and_quotes_nothing(outcome):
    assert "price" in outcome.listed
    assert "-9" not in outcome.listed


def test_what_is_too_large_is_told_by_length_and_hash(outcome):
    large = [record for record in records(outcome.out, "dead") if "sha256" in record]
    value = b"{" + b" " * LARGE
    assert [record["length"] for record in large] == [len(value)]
    assert large[0]["sha256"] == hashlib.sha256(value).hexdigest()


def test_the_good_ticks_around_it_all_went_through(poisoned, outcome, ahead, tmp_path):
    """A replay of the good messages alone makes the same records."""
    good = [m for m in Recording([outcome.recording]).messages() if is_good(m, poisoned, ahead)]
    assert len(good) == GOOD + 2 + 1 + PARTITIONS
    recording = write(tmp_path / "good.parquet", {TOPIC: PARTITIONS}, good)
    files = written(outcome.env, "replay", "market", recording, "--out", tmp_path / "good")
    same = [name for name in files if name != "dead.jsonl"]
    assert {name: files[name] for name in same} == {name: outcome.files[name] for name in same}


def is_good(message, poisoned: Poisoned, ahead: str) -> bool:
    """Return whether anything of a recorded message is good."""
    origin = dict(message.headers).get("headrace-origin")
    if origin is not None:
        return f"{origin.decode()}/0" == ahead
    return (message.partition, message.offset) not in poisoned.bad_offsets


def test_bars_count_every_good_trade(outcome):
    minutes = {b["symbol"]: b for b in records(outcome.out, "bars") if b["interval"] == "1m"}
    assert minutes["A"]["trades"] == GOOD // 2
    assert minutes["C"]["trades"] == 2, "the good ticks of frames with a bad one"


def test_a_retried_record_comes_through_under_its_first_coordinates(outcome, ahead):
    minute = {b["symbol"]: b for b in records(outcome.out, "bars") if b["interval"] == "1m"}["B"]
    assert minute["trades"] == GOOD // 2 + 1
    assert minute["high"] == 500.0
    assert records(outcome.out, "late") == [], "it was behind the watermark, and not judged late"


def test_what_fails_again_is_the_same_letter_again(outcome):
    assert outcome.retried == {"retried": 3, "left_out": 0}
    assert letters(outcome.again).keys() == letters(outcome.listed).keys()


def test_a_replay_of_the_recorded_topic_gives_the_bytes_of_the_run(outcome, tmp_path):
    cut = ("--batch", "7", "--workers", "2")
    replay = ("replay", "market", outcome.recording, "--out", tmp_path, *cut)
    assert written(outcome.env, *replay) == outcome.files


def test_show_has_the_content_and_filters_choose(poisoned, outcome):
    where = next(name for name, error in poisoned.expected.items() if error == "NoKey")
    shown = done(outcome.env, "dead", "show", "--coordinates", where, "--json")
    letter = orjson.loads(shown)
    assert letter["key"] is None
    assert orjson.loads(letter["value"])["symbol"] == "A"
    whole_message = where.rpartition("/")[0]
    assert done(outcome.env, "dead", "show", "--coordinates", whole_message, "--json") == shown
    one = done(outcome.env, "dead", "list", "--error", "NoKey")
    assert where in one
    assert one.endswith("1 dead letters\n")


def test_what_was_left_out_cannot_be_retried(poisoned, outcome):
    large = next(r for r in records(outcome.out, "dead") if "sha256" in r)
    where = f"{large['topic']}/{large['partition']}/{large['offset']}"
    failed = headrace(outcome.env, "dead", "retry", "--coordinates", where)
    assert failed.returncode == 1
    assert failed.stdout == "0 retried; 1 cannot be: too large to keep\n"


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["retry"], "say which letters to retry"),
        (["list", "moon"], "moon"),
        (["bury"], "invalid choice"),
    ],
)
def test_misuse_is_one_line(outcome, words, fault):
    failed = headrace(outcome.env, "dead", *words)
    assert failed.returncode == 2
    assert fault in failed.stderr
    assert failed.stderr.count("\n") == 1
