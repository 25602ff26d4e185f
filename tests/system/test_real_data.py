"""Show 2: a day of real trades and quotes; `headrace bench week` does the whole week."""

from __future__ import annotations

from pathlib import Path

import orjson
import polars as pl
import pytest

from benchmarks.market.vendor import trades
from benchmarks.week import agreement, differing
from tests.flows.runs import ROOT, settings
from tests.system.market import done, records, written

DATA = ROOT.parent / "shared/data/market"
DAY = "20131008"
SYMBOLS = ("bac", "ibm")
TICKS = [
    DATA / f"us_equity_tick/{symbol}_{DAY}_{kind}.zip"
    for symbol in SYMBOLS
    for kind in ("trade", "quote")
]

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="there is no ../shared/data/market")


@pytest.fixture(scope="module")
def env(tmp_path_factory) -> dict[str, str]:
    return settings("127.0.0.1:1", "redis://127.0.0.1:1/0", tmp_path_factory.mktemp("none"))


@pytest.fixture(scope="module")
def replayed(env, tmp_path_factory) -> Path:
    directory: Path = tmp_path_factory.mktemp("day")
    recording = directory / "day.parquet"
    answer = done(env, "import", "lean", *TICKS, "--out", recording, "--json")
    assert orjson.loads(answer)["messages"] > 500_000
    written(env, "replay", "market", recording, "--out", directory / "replayed")
    return directory / "replayed"


def test_bars_equal_an_independent_recomputation(replayed):
    kept = trades(path for path in TICKS if "trade" in path.name).filter(~pl.col("suspicious"))
    assert kept.height > 50_000
    assert differing(replayed / "bars.jsonl", kept) == 0


def test_the_comparison_sees_a_difference(replayed):
    kept = trades(path for path in TICKS if "trade" in path.name)
    assert differing(replayed / "bars.jsonl", kept.head(kept.height - 1)) > 0


def test_nothing_real_is_late_or_dead_and_quotes_become_an_nbbo(replayed):
    assert not records(replayed, "late")
    assert not records(replayed, "dead")
    nbbo = records(replayed, "nbbo")
    assert {record["symbol"] for record in nbbo} == {"BAC", "IBM"}
    two_sided = [record for record in nbbo if record["bid"] and record["ask"]]
    assert len(two_sided) > 0.9 * len(nbbo)


def test_the_vendors_bars_follow_a_rule_of_their_own():
    bars = [DATA / f"us_equity_bars/second_ibm_{DAY}_trade.zip"]
    plain, best, prices, volume = agreement(
        [path for path in TICKS if "ibm" in path.name and "trade" in path.name], bars
    )
    assert plain.excluded_bits == 0
    assert 0.5 < plain.mean < 0.8
    assert best.excluded_bits & 0x20
    assert best.mean > 0.98
    assert prices.mean > 0.999
    assert volume.mean > 0.998
