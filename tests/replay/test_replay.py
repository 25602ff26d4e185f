import orjson
import pytest

from flows.__main__ import main
from replay.compare import compare
from replay.market.session import Session, record_session
from state.market.outputs import MARKET

CONFIG = """
[market.portfolios]
all = { SIM0000 = 0.5, SIM0001 = 0.3, SIM0002 = 0.2 }
[market.risk]
min_observations = 5
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    directory = tmp_path_factory.mktemp("replay")
    session = Session(seed=7, count=8000, symbols=3, partitions=3, duration_ns=1800 * 10**9)
    record_session(session, directory / "in.parquet")
    (directory / "config.toml").write_text(CONFIG)
    return directory


def replay(place, name, *options):
    out = place / name
    config = ["--config", str(place / "config.toml")]
    command = ["replay", "market", str(place / "in.parquet"), "--out", str(out), *config, *options]
    assert main(command) == 0
    return out


@pytest.fixture(scope="module")
def reference(place):
    return replay(place, "reference")


@pytest.mark.parametrize(
    "options",
    [
        ("--batch", "1"),
        ("--batch", "7"),
        ("--workers", "2"),
        ("--batch", "7", "--workers", "2"),
        ("--speed", "1000000"),
    ],
)
def test_how_it_is_replayed_changes_no_byte(place, reference, options):
    out = replay(place, "-".join(options), *options)
    assert {name: d for name, d in compare(reference, out).items() if d} == {}


def test_every_output_is_written_in_canonical_order(reference):
    for output in MARKET:
        content = (reference / f"{output.name}.jsonl").read_bytes().splitlines()
        rows = [orjson.loads(line) for line in content]
        assert [orjson.dumps(row, option=orjson.OPT_SORT_KEYS) for row in rows] == content
        if not output.by_coordinates:
            order = [(row[output.time], row["id"]) for row in rows]
            assert order == sorted(order)
            assert len({row["id"] for row in rows}) == len(rows)
    for name in ("bars", "risk", "signals", "gaps", "late", "dead"):
        assert (reference / f"{name}.jsonl").stat().st_size > 0, name


def test_the_files_are_told_as_json(place, capsys):
    replay(place, "json", "--json")
    told = orjson.loads(capsys.readouterr().out)["files"]
    assert {file["name"] for file in told} >= {"bars.jsonl", "dead.jsonl", "tables/bars.jsonl"}
    assert all(len(file["sha256"]) == 64 for file in told)


INPUTS = """from state.inputs import Input

def inputs(settings):
    return [Input("market.ticks")]

"""


@pytest.mark.parametrize(
    ("source", "fault"),
    [("import bytewax", "no build"), (f"{INPUTS}def build(context):\n    return 1 / 0", None)],
)
def test_a_flow_that_cannot_be_built_says_so(place, capsys, source, fault):
    flow = place / "mine.py"
    flow.write_text(source)
    command = ["replay", str(flow), str(place / "in.parquet"), "--out", str(place / "x")]
    if fault is None:
        with pytest.raises(ZeroDivisionError):
            main(command)
    else:
        assert main(command) == 2
        assert fault in capsys.readouterr().err


BROKEN = """
import bytewax.operators as op
from bytewax.dataflow import Dataflow
from state.errors import LostWrites
from state.inputs import Input

def inputs(settings):
    return [Input("market.ticks")]

def build(context):
    def fail(messages):
        raise LostWrites("redis", "bars", "0", 1, 2)
    flow = Dataflow("broken")
    found = op.input("in", flow, context.source("market.ticks", fail))
    op.output("out", found, context.sinks.outputs)
    return flow
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_error_inside_the_flow_comes_out_as_itself(place, capfd, workers):
    (place / "broken.py").write_text(BROKEN)
    recording, out = str(place / "in.parquet"), str(place / "x")
    command = ["replay", str(place / "broken.py"), recording, "--out", out, "--workers", workers]
    assert main(command) == 1
    assert "redis has lost writes" in capfd.readouterr().err


def test_a_flow_whose_topic_is_not_recorded_is_misuse(place, capsys):
    (place / "other.py").write_text(BROKEN.replace("market.ticks", "other.topic"))
    command = ["replay", str(place / "other.py"), str(place / "in.parquet"), "--out", str(place)]
    assert main(command) == 2
    assert "holds market.ticks, not other.topic" in capsys.readouterr().err


@pytest.mark.parametrize("system", ["history", "weather"])
def test_what_cannot_be_replayed_is_misuse(place, capsys, system):
    assert main(["replay", system, str(place / "in.parquet"), "--out", str(place / "x")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
