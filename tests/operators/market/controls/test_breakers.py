"""The drawdown and the VaR breaker."""

from __future__ import annotations

from functools import partial

from tests.operators.market.controls.stage import Stage, quoted


def test_the_drawdown_breaker_trips_and_comes_back_with_hysteresis() -> None:
    s = quoted(drawdown_limit=0.10, drawdown_resume=0.05)
    steps: list[tuple[float, list[str]]] = [(80.0, []), (100.0, []), (90.01, [])]
    steps += [(90.0, ["reduce"]), (80.0, []), (94.9, []), (95.0, ["reset"])]
    steps += [(91.0, []), (120.0, []), (108.0, ["reduce"]), (114.0, ["reset"])]
    found = [(value, [r["event"] for r in s.value(value)]) for value, _ in steps]
    assert found == steps


def test_what_is_taken_out_or_paid_in_is_no_drawdown_and_no_gain() -> None:
    """Case 7: positions of 800 at 10, then 400 at 10, and what else moves money without earning."""
    s = quoted(drawdown_limit=0.10, drawdown_resume=0.05)
    assert s.earned(0.0, 8000.0) == s.earned(0.0, 4000.0) == []
    assert [r["event"] for r in s.earned(-400.0, 3600.0)] == ["reduce"]
    # Fresh money does not repair a loss; earning it back does.
    assert s.earned(0.0, 36000.0) == []
    assert [r["event"] for r in s.earned(2400.0, 38400.0)] == ["reset"]


def test_a_loss_of_the_first_session_is_a_drawdown() -> None:
    s = quoted(drawdown_limit=0.10, drawdown_resume=0.05)
    assert [r["event"] for r in s.earned(-10.0, 90.0)] == ["reduce"]


def test_records_of_before_cash_tell_the_value() -> None:
    s = quoted(drawdown_limit=0.10, drawdown_resume=0.05)
    tell = partial(s._states, "market.pnl", ts_ns=1, scope="portfolio:A")
    assert tell(pnl=0.0, value=8000.0) == tell(pnl=0.0, value=4000.0) == []
    assert [r["event"] for r in tell(pnl=-400.0, value=3600.0)] == ["reduce"]


def test_a_trip_is_told_with_its_reason_and_counts_at_once() -> None:
    s = quoted(drawdown_action="HALTED")
    s.value(100.0)
    (tripped,) = s.value(85.0)
    assert (tripped["state"], tripped["cause"], tripped["source"]) == (
        "HALTED",
        "drawdown",
        "market.pnl/0/1",
    )
    assert tripped["reason"] == "drawdown 0.15, limit 0.1, resumes at 0.05"
    refused = s.order("1")
    assert (refused["reason"], refused["state_source"]) == ("ACCOUNT_HALTED", "market.pnl/0/1")
    assert s.order("1", account="B")["decision"] == "accept"


def test_the_var_breaker_goes_by_the_figure_that_the_limits_name() -> None:
    s = quoted(var_limit=0.05, var_resume=0.04)
    for other in (
        {"method": "ewma-normal"},
        {"confidence": 0.95},
        {"horizon": 10},
        {"interval": "1m"},
        {"valid": False},
        {"scope": "symbol:A"},
    ):
        assert s.var(0.9, **other) == []
    steps: list[tuple[float, list[str]]]
    steps = [(0.05, []), (0.0501, ["reduce"]), (0.06, []), (0.04, []), (0.0399, ["reset"])]
    assert [(v, [r["event"] for r in s.var(v)]) for v, _ in steps] == steps


def test_the_breakers_of_a_portfolio_with_the_longest_name_work() -> None:
    name = "P" * 64
    s = Stage()
    s.value(100.0, portfolio=name)
    assert [r["account"] for r in s.value(50.0, portfolio=name)] == [name]
    assert [r["cause"] for r in s.var(0.9, scope=f"portfolio:{name}")] == ["var"]


def test_one_breaker_does_not_let_go_what_the_other_holds() -> None:
    s = quoted(var_action="HALTED")
    s.value(100.0)
    assert [r["state"] for r in s.value(80.0)] == ["REDUCING"]
    assert [r["state"] for r in s.var(0.2)] == ["HALTED"]
    assert [r["state"] for r in s.value(100.0)] == ["HALTED"]
    assert [r["state"] for r in s.var(0.01)] == ["ACTIVE"]


def test_turning_a_breaker_off_lets_go_and_forgets_the_peak() -> None:
    s = quoted()
    s.value(100.0)
    s.value(50.0)
    s.var(0.9)
    told = s.control("limits", drawdown_limit=None, var_limit=None)
    assert [(r["event"], r["cause"], r["state"]) for r in told] == [
        ("reset", "drawdown", "REDUCING"),
        ("reset", "var", "ACTIVE"),
    ]
    assert s.value(1.0) == []
    assert s.var(0.9) == []
    s.control("limits", drawdown_limit=0.1)
    assert s.value(1.0) == []


def test_the_breakers_go_by_the_generation_in_use() -> None:
    s = quoted(drawdown_limit=0.1)
    s.put("clock", type="clock", ts_ns=s.now_ns, generation=2)
    for generation, pnl in ((1, 0.0), (1, -50.0), (2, 0.0)):
        told = {"scope": "portfolio:A", "ts_ns": 1, "pnl": pnl, "equity": 100.0}
        assert s.put("market.pnl", generation, **told) == []
    told = {"scope": "portfolio:A", "ts_ns": 1, "pnl": -50.0, "equity": 50.0}
    assert [e.record["cause"] for e in s.put("market.pnl", 2, **told)] == ["drawdown"]
