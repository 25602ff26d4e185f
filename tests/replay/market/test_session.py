import itertools
from collections import defaultdict

import numpy as np
import orjson
import pytest

from connectors.market.decode import TickDecoder
from flows.__main__ import main
from replay.interleave import Stream, take
from replay.market import session as module
from replay.market.session import Session, batches, record_session, simulate
from replay.partitioner import partition_of
from replay.recording import Recording
from replay.rows import to_block
from state.market.ticks import QUOTE, TRADE
from tests.replay.recordings import read

S = 1_000_000_000
SESSION = Session(seed=3, count=60_000, symbols=8, partitions=3)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    out = tmp_path_factory.mktemp("s") / "session.parquet"
    assert record_session(SESSION, out) == SESSION.count
    return out


@pytest.fixture(scope="module")
def messages(path):
    return read(path)


@pytest.fixture(scope="module")
def good(messages):
    """The ticks that can be used, in the order of each partition."""
    found = []
    for message in messages:
        try:
            tick = orjson.loads(message.value)
        except orjson.JSONDecodeError:
            continue
        prices = [tick[name] for name in ("price", "bid", "ask") if name in tick]
        sound = all(isinstance(price, float) and price > 0 for price in prices)
        if sound and message.key is not None and tick["ts_ns"] <= message.timestamp_ns:
            found.append((message, tick))
    return found


def test_the_same_seed_gives_the_same_bytes(path, tmp_path):
    command = ["simulate", "market", "--seed", "3", "--count", "60000", "--symbols", "8"]
    assert main([*command, "--partitions", "3", "--out", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_another_seed_gives_others(path, tmp_path):
    record_session(Session(4, SESSION.count, 8, 3), tmp_path / "other")
    assert (tmp_path / "other").read_bytes() != path.read_bytes()


def test_messages_and_recording_are_the_same(messages):
    assert [tuple(m) for m in simulate(SESSION) if m.partition == 1] == [
        (*m[:6], m.headers or ()) for m in messages if m.partition == 1
    ]


def test_partitions_hold_their_symbols_and_end_with_a_heartbeat(messages):
    for message in messages:
        assert message.key is None or message.partition == partition_of(message.key, 3)
    last = {m.partition: m for m in messages}
    assert [last[p].headers[0][0] for p in range(3)] == ["headrace-heartbeat"] * 3
    assert sum(1 for m in messages if m.value) == SESSION.count


def test_kafkas_timestamps_never_step_back(messages):
    for _, group in itertools.groupby(messages, lambda m: m.partition):
        times = [m.timestamp_ns for m in group]
        assert times == sorted(times)


def test_activity_and_volatility_are_u_shaped(good):
    start, length = SESSION.start_ns, SESSION.duration_ns
    part = np.array([min(9, (t["ts_ns"] - start) * 10 // length) for _, t in good])
    counts = np.bincount(part, minlength=10)
    assert counts[0] > 2 * counts[4]
    assert counts[9] > 2 * counts[5]
    prices = defaultdict(list)
    for p, (_, tick) in zip(part.tolist(), good, strict=True):
        if tick["type"] == "trade" and tick["symbol"] == "SIM0000":
            prices[p].append(tick["price"])
    moves = {p: np.std(np.diff(np.log(series[::20]))) for p, series in prices.items()}
    assert moves[0] > 1.5 * moves[4]


def test_ticks_come_in_bursts(good):
    times = np.sort([t["ts_ns"] for _, t in good])
    gaps = np.diff(times[: len(times) // 20])
    assert gaps.std() > 1.5 * gaps.mean()  # 1 for a Poisson process


def test_numbers_are_missing_repeated_and_out_of_order(good):
    seen = set()
    highest: dict[tuple[str, str, str], int] = {}
    repeated = missing = stepped_back = 0
    for _, tick in good:
        stream = (tick["type"], tick["symbol"], tick["venue"])
        if (stream, tick["seq"]) in seen:
            repeated += 1
            continue
        seen.add((stream, tick["seq"]))
        before = highest.get(stream, 0)
        stepped_back += tick["seq"] < before
        missing += max(0, tick["seq"] - before - 1)
        highest[stream] = max(before, tick["seq"])
    assert repeated == pytest.approx(SESSION.count * module.DUPLICATES, rel=0.5)
    assert missing > SESSION.count * module.GAPS
    assert stepped_back > 0


def test_some_ticks_are_late_within_and_over_a_second(good):
    behind = np.array([m.timestamp_ns - t["ts_ns"] for m, t in good])
    assert np.median(behind) < S // 1000
    within = np.count_nonzero((behind > S // 100) & (behind < S))
    assert within == pytest.approx(SESSION.count * module.DELAYED, rel=0.3)
    assert np.count_nonzero(behind > 2 * S) > 0
    assert behind.max() < 6.1 * S


def test_quotes_are_sound_and_one_or_two_sided(good):
    quotes = [t for _, t in good if t["type"] == "quote"]
    two = [t for t in quotes if "bid" in t and "ask" in t]
    assert 0.5 < len(quotes) / len(good) < 0.9
    assert 0.2 < len(two) / len(quotes) < 0.6
    assert all(t["bid"] < t["ask"] for t in two)
    assert {t["venue"] for t in quotes} == set(module.VENUES)


def test_the_decoder_takes_all_but_the_spoilt_ones(path):
    recording = Recording([path])
    errors: dict[str, int] = defaultdict(int)
    kinds: dict[int, int] = defaultdict(int)
    for partition in range(3):
        stream = Stream(recording, recording.reader(), "market.ticks", partition)
        decoder = TickDecoder(5 * S)
        while not stream.ended:
            position = {partition: stream.offset}
            rows = [rows for _, rows in take([stream], 4096, None)]
            block = decoder.decode(to_block("market.ticks", 3, rows, position))
            for letter in block.dead:
                errors[letter.error] += 1
            for kind in (TRADE, QUOTE):
                kinds[kind] += int(np.count_nonzero(block.kind == kind))
    assert set(errors) == {"Malformed", "NoKey", "OutOfRange", "WrongType", "FromTheFuture"}
    assert sum(errors.values()) == pytest.approx(SESSION.count * module.BAD, rel=0.5)
    assert kinds[TRADE] + kinds[QUOTE] == SESSION.count - sum(errors.values())


def test_a_session_can_be_short_and_anywhere():
    session = Session(seed=1, count=500, symbols=2, start_ns=10**18, duration_ns=2 * S)
    times = np.concatenate([batch.timestamp_ns for batch in batches(session)])
    assert len(times) == 500
    assert times.min() >= 10**18
    assert np.median(times) < 10**18 + 2 * S


@pytest.mark.parametrize("option", [("--seed", "-1"), ("--symbols", "20000"), ("--count", "0")])
def test_what_cannot_be_simulated_is_misuse(tmp_path, option):
    given = {"--seed": "1", "--count": "10", "--symbols": "2"} | dict([option])
    arguments = [word for pair in given.items() for word in pair]
    try:
        code: object = main(["simulate", "market", *arguments, "--out", str(tmp_path / "x")])
    except SystemExit as error:  # argparse
        code = error.code
    assert code == 2
