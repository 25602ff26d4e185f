"""A morning of real ticks with halts injected: bands, pauses, orders, kill switch, audit."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise, takewhile
from pathlib import Path

import orjson
import pytest

from flows.__main__ import main
from flows.engine.ports import free_port
from flows.market.calendar import sessions_of
from replay.cutting import cut
from replay.heartbeats import heartbeat
from replay.market.session import TOPIC
from replay.message import Message
from replay.recording import Recording
from state.clock import NS
from tests.flows.runs import ROOT, Run, settings
from tests.flows.sequences import control, message, row
from tests.reference.luld import BandPartition, Rules
from tests.reference.vocabulary import Record, ReferenceSettings, Tick
from tests.replay.recordings import write
from tests.system.halted import Desk, Orders
from tests.system.halts import Halt, inject, message_of, ticks_of
from tests.system.market import done, records, written
from tests.waiting import eventually

DATA = ROOT.parent / "shared/data/market/us_equity_tick"
FILES = [DATA / f"bac_20131008_{kind}.zip" for kind in ("trade", "quote")]
SECOND, MINUTE = NS, 60 * NS


def utc_ns(hour: int, minute: int, second: int = 0) -> int:
    moment = datetime(2013, 10, 8, hour, minute, second, tzinfo=UTC)
    return int(moment.timestamp()) * NS


OPEN_NS, END_NS = utc_ns(13, 30), utc_ns(15, 10)
HALTS = (
    Halt(utc_ns(13, 40, 3), "up", 15 * SECOND),
    Halt(utc_ns(14, 5, 7), "down", 40 * SECOND),
    Halt(utc_ns(14, 32, 3), "up", 15 * SECOND - 1_000_000),
)
"""One while the bands are doubled, which sits for exactly 15 s; one that leaves 1 ms before."""
PAUSING, LEAVING = HALTS[:2], HALTS[2]
WAIT, PAUSE = 15 * SECOND, 5 * MINUTE
KILLED_NS, RESUMED_NS = utc_ns(14, 50), utc_ns(15, 0)
HEARD = ["market.orders", "market.control", "market.bands", "market.nbbo"]
SEED = 5

pytestmark = pytest.mark.skipif(
    not all(path.exists() for path in FILES), reason="there is no ../shared/data/market"
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    path: Path = tmp_path_factory.mktemp("halts")
    return path


@pytest.fixture(scope="module")
def env(directory: Path) -> dict[str, str]:
    """Settings that reach no server."""
    return settings(
        "127.0.0.1:1", "redis://127.0.0.1:1/0", directory,
        HEADRACE_MARKET__CALENDAR="XNYS",
        HEADRACE_MARKET__LULD__ENABLED="true",
        HEADRACE_MARKET__LULD__TIERS='{"BAC": 1}',
        HEADRACE_TRADING__TOPICS=orjson.dumps(HEARD).decode(),
        # Live, the ticks of 2013 are that old.
        HEADRACE_TRADING__STALE_AFTER="20000d",
        HEADRACE_TRADING__SYMBOL_TTL="20001d",
    )  # fmt: skip


@dataclass(frozen=True)
class Morning:
    """The ticks with the halts, and the ``bands`` records that the reference makes of them."""

    recording: Path
    real: int
    ticks: list[Tick]
    bands: list[Record]


@pytest.fixture(scope="module")
def morning(env, directory: Path) -> Morning:
    imported = directory / "day.parquet"
    done(env, "import", "lean", *FILES, "--out", imported)
    real = list(takewhile(lambda tick: tick.ts_ns < END_NS, ticks_of(Recording([imported]))))
    opens, closes = (times.tolist() for times in sessions_of("XNYS"))
    today = [span for span in zip(opens, closes, strict=True) if span[0] <= END_NS < span[1]]
    ours = ReferenceSettings(lateness_ns=SECOND, excluded_conditions=frozenset({"suspicious"}))
    partition = BandPartition(ours, Rules({"BAC": 1}, today))
    ticks = inject(real, HALTS, partition)
    partition.take(Tick(0, len(ticks), "heartbeat", END_NS + SECOND))
    end = heartbeat(TOPIC, 0, len(ticks), END_NS + SECOND)
    path = write(directory / "morning.parquet", {TOPIC: 1}, [*map(message_of, ticks), end])
    return Morning(path, len(real), ticks, partition.records)


@pytest.fixture(scope="module")
def replayed(env, morning: Morning, directory: Path) -> Path:
    written(env, "replay", "market", morning.recording, "--out", directory / "replayed")
    return directory / "replayed"


def test_bands_limit_states_and_pauses_are_those_of_the_reference(replayed, morning):
    assert morning.real > 150_000
    assert records(replayed, "bands") == morning.bands
    assert not records(replayed, "late")
    assert not records(replayed, "dead")


def changes(bands: list[Record], from_ns: int, to_ns: int) -> list[tuple[int, str]]:
    return [(b["ts_ns"], b["state"]) for b in bands if from_ns <= b["ts_ns"] < to_ns]


@pytest.mark.parametrize("halt", PAUSING, ids=["exactly 15 s", "40 s"])
def test_15_seconds_at_the_limit_pause_for_5_minutes_until_a_trade_reopens(replayed, morning, halt):
    bands = records(replayed, "bands")
    paused_ns = halt.limit_ns + WAIT
    over_ns = paused_ns + PAUSE
    first = next(t for t in morning.ticks if t.kind == "trade" and t.ts_ns >= over_ns)
    assert changes(bands, halt.at_ns, first.ts_ns + 1) == [
        (halt.limit_ns, f"limit_{halt.side}"),
        (paused_ns, "paused"),
        (over_ns, "open"),
        (first.ts_ns, "open"),
    ]
    found = {band["ts_ns"]: band for band in bands}
    assert found[over_ns]["reference"] is None
    assert found[first.ts_ns]["reference"] == first.price
    width = found[halt.limit_ns]["upper"] / found[halt.limit_ns]["reference"] - 1
    doubled = halt.at_ns < OPEN_NS + 15 * MINUTE
    assert width == pytest.approx(0.10 if doubled else 0.05, abs=0.005 / 13)


def test_a_limit_state_that_is_left_a_millisecond_before_15_seconds_pauses_nothing(replayed):
    bands = records(replayed, "bands")
    assert changes(bands, LEAVING.at_ns, LEAVING.limit_ns + MINUTE)[:2] == [
        (LEAVING.limit_ns, "limit_up"),
        (LEAVING.leaves_ns, "open"),
    ]
    assert "paused" not in {state for _, state in changes(bands, LEAVING.at_ns, END_NS)}


def events(replayed: Path) -> Iterator[tuple[int, int, str, Record]]:
    """Yield what trading reads, by time: the market's records, the kill switch, times of orders."""
    for output in ("bands", "nbbo"):
        for record in records(replayed, output):
            yield record["ts_ns"], 0, f"market.{output}", record
    yield KILLED_NS, 1, "market.control", control("kill", by="alice")
    yield RESUMED_NS, 1, "market.control", control("resume", by="alice")
    for ts_ns in range(OPEN_NS + MINUTE, END_NS, 5 * SECOND):
        yield ts_ns, 2, "market.orders", {}
    for halt in HALTS:
        for second in range(1, 15):
            yield halt.limit_ns + second * SECOND, 2, "market.orders", {}


def sequenced(replayed: Path, orders: Orders) -> Iterator[Message]:
    """Yield the topic that trading decides from, with orders among the market's records."""
    offsets: dict[str, int] = {}
    for place, (ts_ns, _, topic, given) in enumerate(sorted(events(replayed), key=lambda e: e[:3])):
        offset = offsets[topic] = offsets.get(topic, -1) + 1
        if topic == "market.orders":
            body = orders.send(offset, ts_ns)
        else:
            body = given
            orders.hear(topic, given)
        yield message(row(offset, body, topic=topic, place=place, ts_ns=ts_ns))


@dataclass(frozen=True)
class Decided:
    """The trading system's files, and the answers that orders had to get."""

    directory: Path
    expected: dict[tuple[str, str], tuple[str, str, int]]


@pytest.fixture(scope="module")
def decided(env, replayed: Path, directory: Path) -> Decided:
    orders = Orders()
    made = list(sequenced(replayed, orders))
    path = write(directory / "sequenced.parquet", {"market.sequenced": 1}, made)
    written(env, "replay", "trading", path, "--out", directory / "decided")
    return Decided(directory / "decided", orders.expected)


def test_every_order_is_answered_as_the_bands_the_pause_and_the_kill_switch_ask(decided):
    found = {
        (d["order_id"], d["kind"]): (d["decision"], d["reason"], d["ts_ns"])
        for d in records(decided.directory, "decisions")
    }
    assert found == decided.expected
    reasons = {reason for _, reason, _ in found.values()}
    assert reasons == {"NONE", "SYMBOL_PAUSED", "PRICE_BAND", "PRICE_COLLAR", "ACCOUNT_HALTED"}
    assert {kind for _, kind in found} == {"order", "cancel"}


def test_orders_are_refused_in_all_of_a_pause_and_under_the_kill_switch_while_cancels_pass(decided):
    spans = [(h.limit_ns + WAIT, h.limit_ns + WAIT + PAUSE, "SYMBOL_PAUSED", 2) for h in PAUSING]
    decisions = records(decided.directory, "decisions")
    for from_ns, to_ns, reason, code in [*spans, (KILLED_NS, RESUMED_NS, "ACCOUNT_HALTED", 0)]:
        inside = [d for d in decisions if from_ns < d["ts_ns"] < to_ns]
        assert len(inside) > 50
        refused = {(d["decision"], d["reason"], d["code"]) for d in inside if d["kind"] == "order"}
        assert refused == {("reject", reason, code)}
        assert {d["decision"] for d in inside if d["kind"] == "cancel"} == {"accept"}
    states = [(s["ts_ns"], s["event"], s["state"]) for s in records(decided.directory, "state")]
    assert (KILLED_NS, "kill", "HALTED") in states
    assert (RESUMED_NS, "resume", "ACTIVE") in states


def test_the_audit_verifies_and_any_altered_byte_is_found(decided):
    assert main(["audit", "verify", str(decided.directory)]) == 0
    path = decided.directory / "audit.jsonl"
    data = path.read_bytes()
    rng = random.Random(SEED)
    middle = data.index(b"\n", len(data) // 2) + 1
    entry = range(middle, data.index(b"\n", middle) + 1)
    places = [*entry, *rng.sample(range(len(data)), 100)]
    try:
        for at in places:
            altered = bytes([data[at] ^ rng.randrange(1, 256)])
            path.write_bytes(data[:at] + altered + data[at + 1 :])
            assert main(["audit", "verify", str(decided.directory)]) == 1, at
    finally:
        path.write_bytes(data)


def kill_worker(run: Run) -> None:
    """Kill -9 the worker; return when there is another."""
    (worker,) = run.workers()
    worker.kill()
    eventually(lambda: run.workers() and run.workers()[0].pid != worker.pid)


def pieces(morning: Morning, directory: Path, *bounds: int) -> list[Path]:
    """Return the recording in pieces that end before these times."""
    edges = [0, *bounds, END_NS + MINUTE]
    paths = [directory / f"piece{number}.parquet" for number in range(len(edges) - 1)]
    for path, span in zip(paths, pairwise(edges), strict=True):
        assert cut(Recording([morning.recording]), *span, path) > 0
    return paths


def test_live_through_kills_the_pause_the_kill_switch_and_every_byte_survive(
    env, morning, replayed, own_kafka, own_valkey, tmp_path
):
    live = env | {
        "HEADRACE_KAFKA__BOOTSTRAP": own_kafka.bootstrap,
        "HEADRACE_REDIS__URL": own_valkey.url,
        "HEADRACE_RUN__STATE_DIR": str(tmp_path / "state"),
    }
    apart = live | {"HEADRACE_RUN__HTTP_PORT": str(free_port(in_a_row=2))}
    parts = pieces(morning, tmp_path, HALTS[0].at_ns, HALTS[1].limit_ns + WAIT + MINUTE)
    done(live, "publish", parts[0])
    with Run(live, ("market", "--from", "earliest"), tmp_path / "market") as market:
        market.ready()
        with Run(apart, ("trading", "--from", "earliest"), tmp_path / "trading") as trading:
            trading.ready()
            desk = Desk(own_kafka, own_valkey)
            desk.market_heard()
            first, reason = desk.order()
            assert reason == "NONE"
            done(live, "publish", parts[1])
            desk.market_heard()
            assert desk.band_state() == "paused"
            assert desk.order()[1] == "SYMBOL_PAUSED"
            cancel = {"type": "cancel", "account": "a", "order_id": first, "ts_ns": END_NS}
            assert desk.send(cancel) == "NONE"
            desk.control("kill", "HALTED")
            kill_worker(trading)
            assert desk.order()[1] == "ACCOUNT_HALTED"
            desk.control("resume", "ACTIVE")
            assert desk.order()[1] == "SYMBOL_PAUSED"
            kill_worker(market)
            before = desk.quotes()
            done(live, "publish", parts[2])
            eventually(lambda: desk.quotes() > before)
            kill_worker(market)
            desk.market_heard()
            assert desk.band_state() == "open"
            assert desk.order()[1] == "NONE"
            assert trading.end() == 0, trading.log.read_text()
        assert market.end() == 0, market.log.read_text()
    done(live, "export", "market", "--out", tmp_path / "out")
    assert main(["diff", str(replayed), str(tmp_path / "out")]) == 0
    taken, decisions, again = tmp_path / "x.parquet", tmp_path / "decisions", tmp_path / "again"
    done(live, "record", "market.sequenced", "--out", taken)
    done(live, "export", "trading", "--out", decisions)
    done(live, "replay", "trading", taken, "--out", again)
    assert main(["diff", str(decisions), str(again)]) == 0
    head = records(decisions, "audit")[-1]["hash"]
    assert main(["audit", "verify", str(decisions), "--head", head]) == 0
