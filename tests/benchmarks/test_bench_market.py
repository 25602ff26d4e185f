"""`headrace bench market` in a tiny form: its mechanics, never its speeds."""

from __future__ import annotations

import time
from itertools import count

import numpy as np
import orjson
import pytest

from benchmarks.machine import Cores, facts
from benchmarks.market import latency, orders, sinks, throughput
from benchmarks.market.feed import Feed, evenly
from benchmarks.market.rig import PARTITIONS, Options, Rig, Run
from benchmarks.market.topics import make_topic
from benchmarks.report import Figure, Goal, Report, histogram, percentiles
from flows.__main__ import main
from state.clock import MS, NS
from state.errors import Broken
from state.market.ticks import TRADE

MESSAGES, TICKS, RECORDS = 60_000, 20_000, 3000


@pytest.fixture
def run(kafka, valkey, postgres, tmp_path):
    """What a part of the benchmark is given, over the shared servers."""
    return run_on(kafka, valkey, postgres, tmp_path)


def run_on(kafka, valkey, postgres, tmp_path):
    if not kafka.kind.startswith("Apache"):
        pytest.skip(f"{kafka.kind} has not the topics' options that the benchmark sets")
    options = Options(tuple("abcdef"), 1, MESSAGES, TICKS, RECORDS, 2)
    rig = Rig(kafka, valkey, postgres, Cores.here(), tmp_path)
    # Other tests of this run write to the same Redis: begin where they do not.
    rig._generations = count(time.time_ns() % 10**6 + 1000)
    return Run(rig, options, Report(json=True, facts=facts()))


@pytest.fixture
def topics(monkeypatch):
    """Names of the benchmark's topics that no other test has used."""
    suffix = f".{time.time_ns()}"
    for module, name in [
        (throughput, "JSON_TOPIC"),
        (throughput, "FRAMES_TOPIC"),
        (latency, "TOPIC"),
        (latency, "ALONE_TOPIC"),
    ]:
        monkeypatch.setattr(module, name, getattr(module, name) + suffix)


def values(run, part):
    return {figure.name: figure.value for figure in run.report.figures if figure.part == part}


def test_engine_loop_and_stock_bytewax_take_the_same_messages_and_make_the_same_bars(run, topics):
    throughput.run_json(run, loop=True, stock=True)  # raises Broken where one differs
    assert "bars of both are equal" in " ".join(run.report.notes["b"])
    assert " 0 bars of both" not in " ".join(run.report.notes["b"])
    share = values(run, "a")["share of the bare loop's messages a CPU-second"]
    multiple = values(run, "b")["multiple of stock Bytewax's throughput"]
    assert share > 0
    assert multiple > 0


def test_a_run_that_lost_a_message_has_no_figure():
    with pytest.raises(Broken, match="engine consumed 99 of 100"):
        throughput._check_count("engine", 99, 100)


def test_all_ticks_of_the_frames_are_worked_on(run, topics):
    throughput.run_frames(run)  # raises Broken where the count differs
    found = values(run, "c")
    assert found["whole process, user and system"] > 0
    assert found["outputs per 1,000 ticks"] > 0


def test_each_sink_takes_all_records(run):
    sinks.run(run)
    assert [name for name in values(run, "d") if name.endswith("wall")] == [
        "Redis, wall",
        "Kafka, wall",
        "PostgreSQL, wall",
    ]


def test_the_stages_of_a_signal_add_up_to_its_latency(run, topics, monkeypatch):
    monkeypatch.setattr(latency, "WARM_UP_S", 7)
    monkeypatch.setattr(latency, "RATE", 2000)
    make_topic(run.rig.kafka.bootstrap, "market.signals", PARTITIONS)
    found = latency._beside(run, 2)
    stages, total, epoch = latency.stages_of(found)
    assert len(total) > 10
    assert (np.sum(list(stages.values()), axis=0) == total).all()
    assert (epoch >= 0).all()
    assert (epoch <= total).all()
    for name in set(latency.STAGES) - {"poll"}:
        assert (stages[name] >= 0).all(), name
    assert len(found.bare["due"]) == found.engine["messages"] == 9 * 2000
    assert len(np.unique(found.reader["counter"])) > 0


def test_every_order_has_its_decision_and_both_hops(
    own_kafka, valkey, postgres, tmp_path, monkeypatch
):
    monkeypatch.setattr(orders, "WARM_UP_S", 2)
    monkeypatch.setattr(orders, "TICK_RATE", 500)
    run = run_on(own_kafka, valkey, postgres, tmp_path)
    due, found = orders._measured(run, 3)
    assert len(due) == 5 * orders.RATE
    assert (found["one"] > due).all()
    assert (found["two"] > found["one"]).all()
    assert (found["decision"] > due).all()
    assert (found["appended"] + MS > due).all()
    assert "sequence" in " ".join(orders._stage_lines({n: at - due for n, at in found.items()}))


def test_feed_has_no_gaps_and_repeats_ticks_in_place():
    feed = Feed(5, 4, 1000)
    blocks = [feed.ticks(times) for times in evenly(4000, 1000, 1500)]
    seen: dict[tuple[int, int, int], int] = {}
    repeated = 0
    for block in blocks:
        assert len(block) in (1500, 1000)
        assert (np.diff(block.ts_ns) >= 0).all()
        rows = zip(block.kind.tolist(), block.symbol.tolist(), block.venue.tolist(), strict=True)
        for stream, seq in zip(rows, block.seq.tolist(), strict=True):
            repeated += seq == seen.get(stream)
            assert seq in (seen.get(stream, 0), seen.get(stream, 0) + 1)
            seen[stream] = seq
    assert repeated > 0


def test_feed_spikes_as_often_as_asked():
    rate = 10_000
    ticks = Feed(6, 1, rate, spikes=100).ticks(next(iter(evenly(rate, rate, rate))))
    price = ticks.price[ticks.kind == TRADE]
    assert 140 < np.count_nonzero(np.abs(np.diff(price) / price[1:]) > 8e-4) < 260


def test_percentiles_are_in_milliseconds():
    assert percentiles(np.arange(1, 101) * 1_000_000)["max"] == 100
    assert histogram(np.array([200_000, 600_000_000]))[0].startswith("<=   0.25 ms         1")


def test_a_missed_goal_says_by_how_much():
    assert Goal(0.8).verdict(0.7) == "goal >= 0.8: MISSED by 0.1"
    assert Goal(5, most=True).verdict(5) == "goal <= 5: met"
    assert Figure("a", "x", "s", [3.0, 1.0, 2.0]).value == 2.0


def test_overlap_counts_only_what_lies_within_an_epochs_end():
    spans = np.array([[100, 200], [300, 350]])
    begin, end = np.array([0, 150, 210, 120]), np.array([90, 320, 290, 180])
    assert latency._overlap(begin, end, spans).tolist() == [0, 70, 0, 60]


def test_snapshots_close_to_each_other_are_of_one_epochs_end():
    snapshots = np.array([[0, 5], [10, 12], [NS, NS + 7]])
    assert latency._ends(snapshots).tolist() == [[0, 12], [NS, NS + 7]]


def test_unknown_benchmarks_and_options_without_a_name_are_misuse(capsys):
    assert main(["bench", "nothing"]) == 2
    assert "there is no benchmark 'nothing'" in capsys.readouterr().err
    assert main(["bench", "market", "crash", "--json"]) == 2
    assert "options belong to one benchmark" in capsys.readouterr().err
    assert main(["bench", "market", "--only", "xyz"]) == 2


def test_report_is_readable_by_programs(capsys):
    report = Report(json=True, facts={"cores": "2"})
    report.begin()
    report.part("a", "title", "condition")
    report.figure("a", "x", "s", [1.0, 3.0], Goal(3.0))
    report.end()
    told = orjson.loads(capsys.readouterr().out)
    assert told["figures"][0]["value"] == 2.0
    assert told["figures"][0]["verdict"] == "goal >= 3: MISSED by 1"
    assert told["notes"] == {"a": ["title", "condition"]}
