from __future__ import annotations

import gzip
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import vartests  # type: ignore[import-untyped]  # an oracle of tests alone
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import xlogy

from operators.market.backtest import (
    WINDOW,
    Backtest,
    binomial_cdf,
    chi2_p,
    christoffersen_lr,
    kupiec_lr,
    zone,
)
from state.outputs import to_json

SP20 = Path(__file__).parents[4] / "shared" / "data" / "market" / "daily" / "sp500_dataset.csv.gz"
C = 0.99
FIELDS = [
    "id",
    "ts_ns",
    "scope",
    "method",
    "confidence",
    "observations",
    "exceptions",
    "kupiec_lr",
    "kupiec_p",
    "christoffersen_lr",
    "christoffersen_p",
    "conditional_lr",
    "zone",
    "conditional_p",
    "acerbi_szekely",
]

returns = st.floats(-0.2, 0.2)
figures = st.floats(0.0, 0.1)
sessions = st.lists(st.tuples(returns, figures, figures), max_size=2 * WINDOW + 20)
confidences = st.sampled_from([0.9, 0.95, 0.975, 0.99, 0.995])
counts = st.integers(0, 2000)


def run(rows, confidence=C, backtest=None):
    backtest = backtest or Backtest(confidence)
    for row in rows:
        backtest.update(*row)
    return backtest


def record(backtest):
    return backtest.record("portfolio:p", "historical", 7)


def test_jorions_question_10():
    """Jorion, Financial Risk Manager Handbook, chapter 6: 6 exceptions in 252 days at 99 %."""
    assert math.floor(1000 * kupiec_lr(6, 252, 0.99)) == 3498  # printed as 3.498: it is cut
    assert round(christoffersen_lr(244, 2, 2, 4), 3) == 25.837


def test_mathworks_pages_on_var_backtesting():
    """Risk Management Toolbox: `tl` for 57 of 1043 at 95 %, `cci` for 932/53/53/4."""
    assert round(binomial_cdf(57, 1043, 0.05), 5) == 0.77913
    assert round(1 - binomial_cdf(56, 1043, 0.05), 5) == 0.26396
    assert round(christoffersen_lr(932, 53, 53, 4), 5) == 0.25866
    assert round(chi2_p(christoffersen_lr(932, 53, 53, 4), 1), 5) == 0.61104


def test_zones_of_the_basel_committee():
    """Supervisory framework for backtesting, January 1996, table 2: 250 days at 99 %."""
    printed = [8.11, 28.58, 54.32, 75.81, 89.22, 95.88, 98.63, 99.60, 99.89, 99.97, 99.99]
    assert [round(100 * binomial_cdf(x, 250, 0.01), 2) for x in range(11)] == printed
    zones = [zone(x, 250, 0.99) for x in range(12)]
    assert zones == ["green"] * 5 + ["yellow"] * 5 + ["red"] * 2


@pytest.mark.parametrize(("law", "published"), [(stats.norm, -0.34639), (stats.t(3), -0.42986)])
def test_critical_values_of_the_second_test_of_acerbi_and_szekely(law, published):
    """MathWorks' tables for 97.5 %, N = 1966, level 1 %, which are simulated.

    The distribution of Z2 as it is defined here is computed without simulation, as a compound
    binomial sum by Fourier transform; a simulation of 100,000 paths has a standard error of 0.002.
    """
    tail, n, step = 0.025, 1966, 0.004
    es = stats_es(law, tail)
    edges = np.minimum(law.cdf(-es * step * (np.arange((1 << 16) + 1) - 0.5)), tail)
    severity = -np.diff(edges, prepend=tail)[1:] / tail
    total = np.cumsum(np.fft.irfft((1 - tail + tail * np.fft.rfft(severity)) ** n))
    critical = 1 - np.searchsorted(total, 0.99) * step / (n * tail)
    assert critical == pytest.approx(published, abs=0.002)


def stats_es(law, tail):
    return -law.expect(lambda x: x, ub=law.ppf(tail)) / tail


@given(st.integers(0, 300), st.integers(1, 2000), confidences)
def test_kupiec_is_that_of_vartests(exceptions, more, confidence):
    n = exceptions + more
    expected = vartests.kupiec_test(x=exceptions, n=n, risk_conf_level=confidence)
    ratio = kupiec_lr(exceptions, n, confidence)
    assert ratio == pytest.approx(expected["statistic"], rel=1e-9, abs=1e-9)


@given(st.integers(0, 250), st.integers(0, 250), confidences)
def test_the_binomial_distribution_is_scipys(exceptions, more, confidence):
    n = exceptions + more
    expected = stats.binom.cdf(exceptions, n, 1 - confidence)
    assert binomial_cdf(exceptions, n, 1 - confidence) == pytest.approx(expected, rel=1e-11)


@given(st.floats(0, 60), st.sampled_from([1, 2]))
def test_p_values_are_scipys(ratio, degrees):
    assert chi2_p(ratio, degrees) == pytest.approx(stats.chi2.sf(ratio, degrees), rel=1e-11)


@given(counts, counts, counts, counts)
def test_independence_is_its_definition(n00, n01, n10, n11):
    """The likelihoods as Christoffersen (1998, section 2.2) writes them."""
    hit = (n01 + n11) / max(n00 + n01 + n10 + n11, 1)
    after_calm, after_hit = n01 / max(n00 + n01, 1), n11 / max(n10 + n11, 1)
    same = xlogy(n00 + n10, 1 - hit) + xlogy(n01 + n11, hit)
    apart = xlogy(n00, 1 - after_calm) + xlogy(n01, after_calm)
    apart += xlogy(n10, 1 - after_hit) + xlogy(n11, after_hit)
    expected = max(-2 * (same - apart), 0)
    assert christoffersen_lr(n00, n01, n10, n11) == pytest.approx(expected, rel=1e-9, abs=1e-8)


@given(counts, counts)
def test_independence_has_nothing_to_say_of_one_kind_of_session(n, m):
    assert christoffersen_lr(n, 0, 0, 0) == 0
    assert christoffersen_lr(0, 0, 0, n) == 0
    assert christoffersen_lr(n, m, 0, 0) == 0


@given(sessions, confidences)
def test_online_is_from_scratch(rows, confidence):
    """Everything recomputed from the whole series with numpy and scipy."""
    found = record(run(rows, confidence))
    r, var, es = np.array(rows, np.float64).reshape(-1, 3).T
    hits = -r > var + 1e-12
    n, x = len(hits), int(hits.sum())
    pairs = [int(((hits[:-1] == a) & (hits[1:] == b)).sum()) for a in (0, 1) for b in (0, 1)]
    kupiec, independence = kupiec_lr(x, n, confidence), christoffersen_lr(*pairs)
    recent = hits[-WINDOW:]
    cumulative = round(stats.binom.cdf(recent.sum(), len(recent), 1 - confidence), 12)
    assert list(found) == FIELDS
    assert found["id"] == f"portfolio:p|historical|{confidence}|7"
    assert (found["observations"], found["exceptions"]) == (n, x)
    assert (found["kupiec_lr"], found["christoffersen_lr"]) == (kupiec, independence)
    assert found["kupiec_p"] == pytest.approx(stats.chi2.sf(kupiec, 1), rel=1e-9)
    assert found["christoffersen_p"] == pytest.approx(stats.chi2.sf(independence, 1), rel=1e-9)
    assert found["conditional_lr"] == kupiec + independence
    assert found["conditional_p"] == pytest.approx(stats.chi2.sf(kupiec + independence, 2))
    colour = "green" if cumulative <= 0.95 else "yellow" if cumulative <= 0.9999 else "red"
    assert found["zone"] == colour
    measured = es >= 1e-12
    if measured.any():
        z2 = (r * hits)[measured] / es[measured]
        expected = z2.sum() / (measured.sum() * (1 - confidence)) + 1
        assert found["acerbi_szekely"] == pytest.approx(expected, rel=1e-9)
    assert b"null" not in to_json(found)


@given(sessions, st.data())
def test_a_restored_backtest_goes_on_as_the_first(rows, data):
    cut = data.draw(st.integers(0, len(rows)))
    parts = run(rows[:cut]).snapshot()
    kept = repr(parts)
    restored = Backtest(C)
    restored.restore(parts)
    run(rows[cut:], backtest=restored)
    assert restored.snapshot() == run(rows).snapshot()
    assert record(restored) == record(run(rows))
    assert repr(parts) == kept


def test_the_last_digits_do_not_decide_on_a_zone():
    assert zone(0, 1, 0.95) == "green"
    assert zone(0, 1, 0.9999) == "yellow"


def test_a_loss_of_just_the_var_is_no_exception():
    assert record(run([(-0.02, 0.02, 0.03)]))["exceptions"] == 0
    assert record(run([(math.nextafter(-0.02, -1), 0.02, 0.03)]))["exceptions"] == 0
    assert record(run([(-0.02 - 1e-11, 0.02, 0.03)]))["exceptions"] == 1


def test_nothing_is_rejected_before_the_first_session():
    found = record(Backtest(C))
    assert [found[name] for name in FIELDS if name.endswith("_p")] == [1.0, 1.0, 1.0]
    assert [found[name] for name in FIELDS if name.endswith("_lr")] == [0.0, 0.0, 0.0]
    assert (found["observations"], found["acerbi_szekely"]) == (0, 0.0)


def test_the_traffic_light_forgets_what_is_older_than_250_sessions():
    bad = [(-0.1, 0.02, 0.03)] * 10
    quiet = [(0.0, 0.02, 0.03)] * WINDOW
    assert record(run(bad + quiet[:-10]))["zone"] == "red"
    assert record(run(bad + quiet))["zone"] == "green"
    assert record(run(bad + quiet))["exceptions"] == 10


def test_the_portfolio_that_holds_nothing_is_not_measured_by_its_es():
    flat = [(-1e-9, 0.0, 0.0)] * 5
    found = record(run([*flat, (-0.04, 0.02, 0.02)]))
    assert found["exceptions"] == 6
    assert found["acerbi_szekely"] == pytest.approx(1 - 0.04 / 0.02 / (1 - C))


@pytest.mark.parametrize("row", list(itertools.permutations([math.nan, 0.02, 0.03])))
def test_no_nan_is_counted(row):
    with pytest.raises(ValueError, match="cannot backtest"):
        Backtest(C).update(*row)


@pytest.mark.skipif(not SP20.exists(), reason=f"{SP20} is absent")
def test_the_sp20_rejects_ewma_and_historical_has_120_exceptions():
    """The guide values of equal weights at 99 % with a window of 500: 120 and 164 of 7812."""
    with gzip.open(SP20, "rt") as file:
        prices = np.genfromtxt(file, delimiter=",", skip_header=1)[:, 1:]
    r = (prices[1:] / prices[:-1] - 1).mean(axis=1)
    windows = np.sort(np.lib.stride_tricks.sliding_window_view(r, 500)[:-1], axis=1)
    var, es = -windows[:, 5], -windows[:, :6].mean(axis=1)
    historical = record(run(zip(r[500:].tolist(), var.tolist(), es.tolist(), strict=True)))
    assert (historical["observations"], historical["exceptions"]) == (7812, 120)

    variance = np.zeros(len(r))
    for i, ret in enumerate(r[:-1].tolist()):
        variance[i + 1] = 0.94 * variance[i] + 0.06 * ret * ret if i else ret * ret
    sigma = np.sqrt(variance[500:])
    z, shortfall = stats.norm.ppf(0.99), stats_es(stats.norm, 0.01)
    rows = zip(r[500:].tolist(), (z * sigma).tolist(), (shortfall * sigma).tolist(), strict=True)
    ewma = record(run(rows))
    assert ewma["exceptions"] == 164
    assert ewma["kupiec_p"] < 1e-6
    assert ewma["acerbi_szekely"] < -0.7


def test_a_loss_as_large_as_its_var_but_for_rounding_is_no_exception():
    prices = [100 * 0.99**n for n in range(200)]
    returns = [after / before - 1 for before, after in itertools.pairwise(prices)]
    assert len(set(returns)) > 1, "rounding makes them differ"
    backtest = Backtest(0.99)
    for realised in returns:
        backtest.update(realised, -max(returns), 0.01)
    assert backtest.record("a", "m", 0)["exceptions"] == 0
    backtest.update(returns[0] - 1e-9, -returns[0], 0.01)
    assert backtest.record("a", "m", 0)["exceptions"] == 1
