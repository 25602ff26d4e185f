"""What holds for every series: scale, shift, confidence, ES against VaR, coherence."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.market.methods.garch import GarchNormal
from operators.market.methods.historical import Historical
from tests.operators.market.methods.contract import (
    METHODS,
    PARAMETERS,
    WINDOW,
    Make,
    fed,
    figure_of,
    fitted_garch,
)
from tests.operators.market.methods.series import moving_series, random_returns, series

FITTED: dict[str, Make] = {**METHODS, "garch-normal": fitted_garch}
CONFIDENCES = (0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999)


def scaled_garch(scale: float) -> GarchNormal:
    """Return a method with parameters for returns in other units."""
    method = GarchNormal(WINDOW)
    p = PARAMETERS
    method.set_parameters(p.mu * scale, p.omega * scale**2, p.alpha, p.beta)
    return method


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=50)
@given(returns=moving_series(), scale=st.sampled_from([0.01, 0.3, 2.0, 100.0]))
def test_twice_the_position_is_twice_the_risk(
    name: str, returns: list[float], scale: float
) -> None:
    make: Make = (lambda: scaled_garch(scale)) if name == "garch-normal" else METHODS[name]
    before = figure_of(FITTED[name], returns, 0.95)
    after = figure_of(make, [scale * ret for ret in returns], 0.95)
    assert after[:2] == pytest.approx(
        (scale * before.var, scale * before.es), rel=1e-9, abs=1e-12 * scale
    )


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"cornish-fisher"}))
@settings(max_examples=50)
@given(returns=moving_series())
def test_figures_grow_with_the_confidence_and_es_is_at_least_var(
    name: str, returns: list[float]
) -> None:
    method = fed(FITTED[name], returns)
    figures = [f for f in (method.forecast(c) for c in CONFIDENCES) if f is not None]
    assert len(figures) == len(CONFIDENCES)
    for figure in figures:
        assert figure.es >= figure.var
    for lower, higher in pairwise(figures):
        assert higher.var >= lower.var
        assert higher.es >= lower.es - 1e-15  # a mean is rounded


@settings(max_examples=50)
@given(seed=st.integers(0, 1000))
def test_cornish_fisher_grows_with_the_confidence_where_it_is_valid(seed: int) -> None:
    method = fed(METHODS["cornish-fisher"], random_returns(WINDOW, seed))
    figures = [f for f in (method.forecast(c) for c in CONFIDENCES) if f is not None and f.valid]
    for figure in figures:
        assert figure.es >= figure.var - 1e-15
    for lower, higher in pairwise(figures):
        assert higher.var >= lower.var


@pytest.mark.parametrize("name", ["historical", "age-weighted", "cornish-fisher"])
@settings(max_examples=50)
@given(returns=series(), shift=st.sampled_from([-0.05, 0.01, 0.2]))
def test_a_sure_gain_lowers_risk_by_itself(name: str, returns: list[float], shift: float) -> None:
    before = figure_of(METHODS[name], returns, 0.95)
    after = figure_of(METHODS[name], [ret + shift for ret in returns], 0.95)
    assert after[:2] == pytest.approx((before.var - shift, before.es - shift), abs=1e-9)


@settings(max_examples=100)
@given(
    pairs=st.lists(
        st.tuples(*[st.integers(-2000, 2000).map(lambda i: i / 10_000)] * 2),
        min_size=1,
        max_size=50,
    ),
    confidence=st.sampled_from(CONFIDENCES),
)
def test_historical_es_is_subadditive(pairs: list[tuple[float, float]], confidence: float) -> None:
    one, other, both = (
        figure_of(METHODS["historical"], returns, confidence).es
        for returns in ([x for x, _ in pairs], [y for _, y in pairs], [x + y for x, y in pairs])
    )
    assert both <= one + other + 1e-12


@settings(max_examples=100)
@given(
    returns=series(least=2, most=WINDOW),
    place=st.integers(0, WINDOW),
    by=st.sampled_from([1e-4, 0.01, 0.5]),
)
def test_a_return_replaced_by_a_worse_one_never_lowers_the_risk(
    returns: list[float], place: int, by: float
) -> None:
    worse = list(returns)
    worse[place % len(returns)] -= by
    for confidence in CONFIDENCES:
        before = figure_of(METHODS["historical"], returns, confidence)
        after = figure_of(METHODS["historical"], worse, confidence)
        assert after.var >= before.var
        assert after.es >= before.es - 1e-15
        aged = figure_of(METHODS["age-weighted"], worse, confidence)
        assert aged.var >= figure_of(METHODS["age-weighted"], returns, confidence).var


@pytest.mark.parametrize("name", ["historical", "age-weighted", "cornish-fisher"])
@settings(max_examples=50)
@given(past=series(), returns=series(least=WINDOW, most=WINDOW))
def test_what_has_left_the_window_does_not_count(
    name: str, past: list[float], returns: list[float]
) -> None:
    with_past = fed(METHODS[name], past + returns).forecast(0.9)
    assert with_past is not None
    assert with_past == pytest.approx(figure_of(METHODS[name], returns, 0.9), rel=1e-9, abs=1e-12)


def test_var_is_not_subadditive_and_es_is() -> None:
    """The textbook pair (McNeil, Frey, Embrechts 2015, section 2.3.5): two rare defaults."""
    one, other = [0.0] * 96 + [-1.0] * 2 + [0.0] * 2, [0.0] * 98 + [-1.0] * 2
    both = [x + y for x, y in zip(one, other, strict=True)]
    figures = [figure_of(lambda: Historical(100), returns, 0.97) for returns in (one, other, both)]
    assert figures[2].var > figures[0].var + figures[1].var
    assert figures[2].es <= figures[0].es + figures[1].es
