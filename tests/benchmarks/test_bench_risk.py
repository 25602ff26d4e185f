"""`headrace bench risk` in a short form: its mechanics, and that both sides agree; no speeds."""

from __future__ import annotations

import numpy as np
import orjson
import pytest

from benchmarks.market import risk, risk_child, risk_monte_carlo, risk_numpy_signals, risk_signals
from benchmarks.market.risk_contest import Contest, measured
from benchmarks.market.risk_ticks import Ticks
from benchmarks.report import Report
from flows.__main__ import main
from operators.market.daily.forecasts import METHODS
from state.errors import Broken

ASSETS, WINDOW = 8, 500


@pytest.mark.parametrize("part", list("abcd"))
def test_both_sides_agree_after_many_calls(part):
    for contest in risk_child.contests(part, ASSETS, WINDOW):
        contest.check(contest.calls - 1)


def test_every_method_and_every_signal_is_measured():
    names = {contest.name for contest in risk_child.contests("a", ASSETS, WINDOW)}
    assert set(METHODS) - {"monte-carlo-normal", "monte-carlo-t"} <= names
    assert len(risk_child.contests("c", ASSETS, WINDOW)) == 8


def test_the_ticks_have_something_to_find():
    ticks = Ticks.made(risk_signals.WINDOW)
    assert risk_numpy_signals.cusum(ticks.price, risk_signals.THRESHOLD)[0]
    fired, values = risk_numpy_signals.vpin(ticks.sign, ticks.size, risk_signals.VOLUME, 50)
    assert len(fired) > 1
    assert len(np.unique(values)) > 1


def test_both_monte_carlos_have_the_covariance():
    job = risk_monte_carlo.Job(np.random.PCG64(1))
    matrix, _, student, portfolio, forecast = risk_monte_carlo.contests()
    spread = np.sqrt(np.outer(np.diag(job.covariance), np.diag(job.covariance)))
    for contest in (matrix, student):
        for returns in (contest.ours(1), contest.theirs(1).T):
            assert (np.abs(np.cov(returns) - job.covariance) < 0.15 * spread).all()
    deviation = np.sqrt(job.weights @ job.covariance @ job.weights)
    for returns in (portfolio.ours(1), portfolio.theirs(1)):
        assert np.std(returns) == pytest.approx(deviation, rel=0.04)
    np.testing.assert_allclose(forecast.ours(1)[:2], forecast.theirs(1), rtol=0.1)


def test_sides_that_differ_have_no_figure():
    with pytest.raises(Broken, match="x: ours 1, numpy 2"):
        Contest("x", 5, lambda i: i, lambda i: 2 * i).check(1)


def test_calls_come_in_order_and_begin_again():
    seen: list[int] = []
    (found,) = measured([Contest("x", 3, seen.append, lambda i: None)], 2)
    assert seen[0] == 0
    assert set(seen) == {0, 1, 2}
    longest = max(range(len(seen) - 10_000), key=lambda at: seen[at : at + 2] == [2, 0])
    assert seen[longest : longest + 5] == [2, 0, 1, 2, 0]
    assert [len(found[side]) for side in ("ours", "theirs")] == [2, 2]
    assert min(*found["ours"], *found["theirs"]) > 0


def test_a_short_run_reports_ratios_and_goals(capsys):
    report = Report(json=True, facts={})
    risk.measure(risk.Options("abcde", 2, ASSETS, WINDOW), report)
    found = orjson.loads(capsys.readouterr().out)["figures"]
    by_part = {part: [f for f in found if f["part"] == part] for part in (*"abcde", "goals")}
    assert [len(by_part[part]) for part in by_part] == [10, 7, 9, 7, 5, 2]
    assert all(len(figure["repeats"]) == 2 for figure in found)
    assert [f["goal"]["value"] for f in found if f["goal"]] == [0.8, 20.0, 3.0]
    mean, least = by_part["goals"]
    updates = [f["value"] for part in "ac" for f in by_part[part][:-1]]
    assert least["value"] == min(updates)
    assert mean["value"] == pytest.approx(np.exp(np.log(updates).mean()), rel=0.2)


def test_unknown_parts_are_misuse(capsys):
    assert main(["bench", "risk", "--only", "xyz"]) == 2
    assert "some of abcde" in capsys.readouterr().err
