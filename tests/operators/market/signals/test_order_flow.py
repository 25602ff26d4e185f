"""Order flow imbalance: what Cont, Kukanov and Stoikov say of single quotes."""

from __future__ import annotations

import numpy as np
import pytest

from operators.market.kernels import order_flow as kernel


def flow_of(best: np.ndarray) -> float:
    """Return the sum of e over one symbol's best quotes, all in one window."""
    n = len(best)
    windows = np.zeros((1, 2))
    kernel.order_flow(
        np.ones(n, np.bool_), np.zeros(n, np.int32), np.zeros(n, np.int32),
        np.ascontiguousarray(best, np.float64), np.zeros((1, 4)), windows,
    )  # fmt: skip
    assert windows[0, 1] == n
    return float(windows[0, 0])


def test_the_kernel_is_compiled() -> None:
    assert kernel.order_flow.signatures


@pytest.mark.parametrize(
    ("after", "flow"),
    [
        ((10.0, 70.0, 10.1, 40.0), 20.0),  # more is bid at the best price
        ((10.0, 30.0, 10.1, 40.0), -20.0),  # less
        ((10.0, 50.0, 10.1, 45.0), -5.0),  # more is offered
        ((10.05, 7.0, 10.1, 40.0), 7.0),  # a better bid: all of its size
        ((9.9, 7.0, 10.1, 40.0), -50.0),  # the best bid is gone: all that was there
        ((10.0, 50.0, 10.05, 7.0), -7.0),
        ((10.0, 50.0, 10.2, 7.0), 40.0),
        ((10.0, 50.0, 10.1, 40.0), 0.0),
        ((0.0, 0.0, 10.1, 45.0), -5.0),  # a side that is absent says nothing
    ],
)
def test_one_quote_contributes_as_in_section_2(after: tuple[float, ...], flow: float) -> None:
    assert flow_of(np.array([(10.0, 50.0, 10.1, 40.0), after])) == flow


def test_at_standing_prices_the_flow_is_the_change_of_the_sizes(rng: np.random.Generator) -> None:
    sizes = rng.integers(1, 1000, (200, 2)).astype(float)
    best = np.column_stack([np.full(200, 10.0), sizes[:, 0], np.full(200, 10.1), sizes[:, 1]])
    change = sizes[-1] - sizes[0]
    assert flow_of(best) == change[0] - change[1]


def test_exchanging_bid_and_ask_changes_the_sign_alone(rng: np.random.Generator) -> None:
    cents = rng.integers(900, 1100, (300, 2)).astype(float)
    sizes = rng.integers(1, 1000, (300, 2)).astype(float)
    best = np.column_stack([cents[:, 0], sizes[:, 0], cents[:, 1], sizes[:, 1]])
    mirrored = np.column_stack([2000 - cents[:, 1], sizes[:, 1], 2000 - cents[:, 0], sizes[:, 0]])
    assert flow_of(mirrored) == -flow_of(best) != 0


def test_the_first_quote_is_no_flow() -> None:
    assert flow_of(np.array([(10.0, 50.0, 10.1, 40.0)])) == 0.0
