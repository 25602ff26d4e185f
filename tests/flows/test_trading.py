"""The trading flow: decisions of a sequence, in a replay, and live through a crash."""

from __future__ import annotations

import hashlib
import pickle
from collections import Counter
from pathlib import Path

import orjson
import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr

from connectors.kafka.delivery import Headers
from connectors.kafka.sequencer import SOURCE_HEADER
from connectors.kafka.sink import COUNTER_HEADER, GENERATION_HEADER
from connectors.redis.reader import RedisReader
from flows.__main__ import main
from flows.market.trading_settings import Trading, trading_hash
from flows.servers import KafkaBroker
from operators.market.controls.controls import Controls
from operators.market.controls.decider import Decider
from operators.outputs import Outputs
from replay.recording import Recording
from state.clock import NS, now_ns
from state.outputs import to_json
from state.records import Coordinates
from state.rows import RowBlock
from state.sequenced import Sequenced
from tests import producing
from tests.conftest import create_topic
from tests.flows.runs import Run, settings
from tests.flows.sequences import control, message, order, quote, row, sequence
from tests.replay.recordings import write
from tests.system.market import records
from tests.waiting import PATIENCE_S, eventually

TRADING = Trading()


def decider() -> Decider:
    return Decider(Controls(TRADING.controls()), "hash", frozenset({"state"}))


def block(rows: list[Sequenced]) -> RowBlock[Sequenced]:
    return RowBlock("market.sequenced", 1, rows)


def decided(rows: list[Sequenced], it: Decider | None = None) -> dict[str, list[dict]]:
    """Return the records by output; what cannot be used is left out."""
    outputs = Outputs()
    list((it or decider()).process(block(rows), outputs))
    return {
        batch.output: [orjson.loads(value) for value in batch.values] for batch in outputs.take()
    }


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_kills_halts_and_refusals_are_counted():
    def counts() -> tuple[float, ...]:
        return (
            sample("headrace_trading_changes_total", event="kill"),
            sample("headrace_trading_decisions_total", decision="reject", reason="ACCOUNT_HALTED"),
            sample("headrace_trading_decisions_total", decision="accept", reason="NONE"),
        )

    before = counts()
    beat = {"type": "clock", "ts_ns": 1}
    rows = [
        row(7, quote(), topic="market.nbbo", place=10),
        row(3, order("o1"), place=11),
        row(0, control("kill"), topic="market.control", place=12),
        row(4, order("o2"), place=13),
        row(0, beat, topic="clock", place=14),
    ]
    decided(rows)
    changed = [now - then for now, then in zip(counts(), before, strict=True)]
    assert changed == [2.0, 1.0, 1.0], "of all, and of the one account that it changes"
    held = [sample("headrace_trading_accounts", state=s) for s in ("ACTIVE", "REDUCING", "HALTED")]
    assert held == [0.0, 0.0, 2.0]


def test_every_record_has_an_audit_entry_that_names_its_input_and_its_settings():
    rows = [
        row(7, quote(), topic="market.nbbo", place=10),
        row(3, order("o1"), place=11),
        row(0, control("kill", by="alice"), topic="market.control", place=12),
        row(4, order("o2"), place=13),
    ]
    found = decided(rows)
    assert [d["decision"] for d in found["decisions"]] == ["accept", "reject"]
    assert found["decisions"][0]["mark_source"] == "market.nbbo/0/7"
    whats = [entry["what"] for entry in found["audit"]]
    assert [(w["who"], w["what"], w["source"], w["sequenced"]) for w in whats] == [
        ("a", "accept", "market.orders/0/3", "market.sequenced/0/11"),
        ("alice", "kill", "market.control/0/0", "market.sequenced/0/12"),
        ("alice", "kill", "market.control/0/0", "market.sequenced/0/12"),
        ("a", "reject", "market.orders/0/4", "market.sequenced/0/13"),
    ]
    assert {w["settings"] for w in whats} == {"hash"}
    emitted = {r["id"]: r for output in ("decisions", "state") for r in found[output]}
    for what in whats:
        line = to_json(emitted.pop(what["record"]))
        assert what["sha256"] == hashlib.sha256(line).hexdigest()
    assert emitted == {}


def test_a_control_event_is_audited_even_where_no_record_comes_of_it():
    limits = control("limits", max_quantity=5, by="bob")
    rows = [row(n, limits, topic="market.control", place=n) for n in range(2)]
    found = decided([*rows, row(0, order("o1", quantity=9), place=2)])
    assert "state" not in found
    whats = [entry["what"] for entry in found["audit"]]
    assert [(w["who"], w["what"], w["output"], w["source"]) for w in whats] == [
        ("bob", "limits", None, "market.control/0/0"),
        ("bob", "limits", None, "market.control/0/1"),
        ("a", "reject", "decisions", "market.orders/0/0"),
    ]
    assert whats[0]["sha256"] == hashlib.sha256(to_json(limits)).hexdigest()


def test_a_breaker_says_which_figure_tripped_it():
    figure = {
        "id": "portfolio:a|session|historical|0.99|1|5", "scope": "portfolio:a", "var": 0.2,
        "valid": True, "method": "historical", "confidence": 0.99, "horizon": 1,
        "interval": "session",
    }  # fmt: skip
    found = decided([row(0, figure, topic="market.risk")])
    assert found["state"][0]["cause"] == "var"
    assert found["audit"][0]["what"]["model"] == figure["id"]


def test_repetitions_change_nothing():
    rows = sequence(1, 2000)
    first: dict[Coordinates, Sequenced] = {}
    for each in rows:
        first.setdefault(each.source, each)
    assert len(first) < 0.9 * len(rows)
    assert decided(rows) == decided(list(first.values()))


def test_the_clock_of_the_controls_never_goes_back():
    found = decided(sequence(2, 1500))
    for output, some in found.items():
        times = [record["ts_ns"] for record in some]
        assert times == sorted(times), output


@pytest.mark.parametrize("seed", [3, 4])
def test_a_snapshot_anywhere_goes_on_as_if_nothing_had_been(seed):
    rows = sequence(seed, 600)
    whole = decided(rows)
    for cut in range(0, len(rows), 37):
        before, after = decider(), decider()
        found = decided(rows[:cut], before)
        after.restore(pickle.loads(pickle.dumps(before.snapshot())))
        rest = decided(rows[cut:], after)
        assert {o: found.get(o, []) + rest.get(o, []) for o in whole} == whole


def test_what_the_controls_cannot_use_is_a_dead_letter_and_the_rest_goes_on():
    bad = [{"type": "order"}, {"type": "what"}, {}]
    rows = [row(offset, body) for offset, body in enumerate([*bad, order("o1")])]
    rows.append(row(0, quote(), topic="somebody.elses"))
    outputs = Outputs()
    dead = list(decider().process(block(rows), outputs))
    assert [(d.coordinates.topic, d.coordinates.offset) for d in dead] == [
        *(("market.orders", offset) for offset in range(3)),
        ("somebody.elses", 0),
    ]
    assert dead[1].value == to_json(bad[1])
    assert {batch.output: len(batch) for batch in outputs.take()}["decisions"] == 1


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    path: Path = tmp_path_factory.mktemp("trading") / "sequenced.parquet"
    return write(path, {"market.sequenced": 1}, map(message, sequence(5, 1500)))


@pytest.fixture(scope="module")
def replayed(recording, tmp_path_factory) -> Path:
    out: Path = tmp_path_factory.mktemp("replayed")
    replay(recording, out)
    return out


def replay(recording: Path, out: Path, *words: str) -> None:
    assert main(["replay", "trading", str(recording), "--out", str(out), *words]) == 0


def test_a_replay_writes_decisions_states_and_a_chain_that_verifies(replayed, capsys):
    assert {r["decision"] for r in records(replayed, "decisions")} == {"accept", "reject"}
    assert {r["event"] for r in records(replayed, "state")} >= {"kill", "resume", "heartbeat"}
    assert {r["topic"] for r in records(replayed, "dead")} == {"market.orders"}
    assert main(["audit", "verify", str(replayed)]) == 0
    count = len(records(replayed, "audit"))
    of_records = sum(r["what"]["output"] is not None for r in records(replayed, "audit"))
    said = capsys.readouterr().out
    assert f"{count} entries, {of_records} records with them" in said
    hashes = {r["what"]["settings"] for r in records(replayed, "audit")}
    assert hashes == {trading_hash(TRADING)}


@pytest.mark.parametrize(("batch", "workers", "shards"), [("1", "1", "4"), ("7", "2", "3")])
def test_neither_batches_nor_workers_nor_shards_change_a_byte(
    recording, replayed, tmp_path, monkeypatch, batch, workers, shards
):
    monkeypatch.setenv("HEADRACE_KAFKA__SHARDS", shards)
    replay(recording, tmp_path, "--batch", batch, "--workers", workers)
    assert main(["diff", str(replayed), str(tmp_path)]) == 0


@pytest.mark.parametrize("name", ["audit", "decisions", "state"])
def test_one_changed_byte_of_any_file_is_found(replayed, tmp_path, capsys, name):
    for each in ("audit", "decisions", "state"):
        (tmp_path / f"{each}.jsonl").write_bytes((replayed / f"{each}.jsonl").read_bytes())
    path = tmp_path / f"{name}.jsonl"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert main(["audit", "verify", str(tmp_path)]) == 1
    assert capsys.readouterr().out.startswith(f"{path}:")


def test_a_recording_without_the_sequence_is_misuse_that_says_what_to_record(tmp_path, capsys):
    other = write(tmp_path / "x.parquet", {"market.orders": 1}, [])
    out = str(tmp_path / "out")
    assert main(["replay", "trading", str(other), "--out", out]) == 2
    assert "headrace record market.sequenced" in capsys.readouterr().err


class Client:
    """Sends orders, control events and quotes; knows what was decided."""

    def __init__(self, broker: KafkaBroker, redis_url: str) -> None:
        self._producer = producing.producer(broker.bootstrap, linger_ms=0)
        self._reader = RedisReader(SecretStr(redis_url), "trading", 1)
        self.sent = 0

    def send(self, topic: str, body: dict, headers: Headers | None = None) -> None:
        self._producer.produce(topic, to_json(body), key=b"k", headers=headers)
        assert self._producer.flush(PATIENCE_S) == 0

    def orders(self, count: int) -> list[str]:
        """Send orders with a quote between; return their ids."""
        ids = [f"o{self.sent + n}" for n in range(count)]
        self.sent += count
        for order_id in ids:
            self.send("market.nbbo", quote(ts_ns=now_ns()))
            self.send("market.orders", order(order_id, account=f"a{self.sent % 2}"))
        return ids

    def backfill(self) -> None:
        """Have generation 2 of market write quotes of now at another price, and one of before."""
        for counter, age_s in enumerate((0, 0, 0, 7200), 1):
            told = quote(bid=499.0, ask=501.0, ts_ns=now_ns() - age_s * NS)
            where = (COUNTER_HEADER, b"0/%d" % counter)
            self.send("market.nbbo", told, [where, (GENERATION_HEADER, b"2")])

    def decisions(self) -> dict[str, str]:
        """Return the reason of each decision by order id."""
        values = [orjson.loads(entry.value) for entry in self._reader.entries("decisions")]
        assert len({value["id"] for value in values}) == len(values), "an order was decided twice"
        return {value["order_id"]: value["reason"] for value in values}

    def decided(self, ids: list[str]) -> set[str]:
        """Wait for decisions on these orders; return their reasons."""
        eventually(lambda: set(ids) <= self.decisions().keys())
        found = self.decisions()
        return {found[order_id] for order_id in ids}

    def state(self) -> str:
        found: str = orjson.loads(self._reader.latest("state")["*"])["state"]
        return found


def test_live_through_a_crash_it_decides_as_a_replay_does(
    own_kafka, redis_url, tmp_path, monkeypatch
):
    # No epoch ends before the crash, so that everything before it is sequenced a second time.
    env = settings(
        own_kafka.bootstrap, redis_url, tmp_path,
        HEADRACE_RUN__EPOCH="60s",
        HEADRACE_TRADING__TOPICS='["market.orders", "market.control", "market.nbbo"]',
        HEADRACE_TRADING__STALE_AFTER="1h",  # a busy machine takes its time over a restart
    )  # fmt: skip
    create_topic(own_kafka, "market.nbbo", 2)
    client = Client(own_kafka, redis_url)
    with Run(env, ("trading",), tmp_path / "log") as run:
        run.ready()
        assert client.decided(client.orders(10)) == {"NONE"}
        client.backfill()
        assert client.decided(client.orders(1)) == {"NONE"}
        client.send("market.control", control("kill", by="alice"))
        eventually(lambda: client.state() == "HALTED")
        assert client.decided(client.orders(5)) == {"ACCOUNT_HALTED"}
        client.send("market.orders", {"type": "order"})
        run.workers()[0].kill()
        during = client.orders(5)
        assert client.decided(during) == {"ACCOUNT_HALTED"}
        assert client.state() == "HALTED"
        client.send("market.control", control("resume"))
        eventually(lambda: client.state() == "ACTIVE")
        assert client.decided(client.orders(5)) == {"NONE"}
        assert run.end() == 0, run.log.read_text()
    for name in (n for n in env if n.startswith("HEADRACE_")):
        monkeypatch.setenv(name, env[name])
    taped, live, again = tmp_path / "x.parquet", tmp_path / "live", tmp_path / "again"
    assert main(["record", "market.sequenced", "--out", str(taped)]) == 0
    sources = Counter(dict(m.headers)[SOURCE_HEADER] for m in Recording([taped]).messages())
    assert sources[b"market.orders/0/0"] == 2, "the crash repeated nothing"
    assert main(["export", "trading", "--out", str(live)]) == 0
    replay(taped, again)
    assert main(["diff", str(live), str(again)]) == 0
    assert len(records(live, "dead")) == 1
    head = records(live, "audit")[-1]["hash"]
    assert main(["audit", "verify", str(live), "--head", head]) == 0
