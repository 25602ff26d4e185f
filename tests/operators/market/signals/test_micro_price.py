"""The micro-price and the fit of its table."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from operators.market.kernels import microprice as kernel
from operators.market.signals.fit_micro_price import fit_micro_price
from operators.market.signals.micro_price import MicroPrice

TICK = 0.01


def quotes_of(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Return best quotes whose mid tends to where the larger size presses it."""
    bid, spread, rows = 10_000, 1, []
    for _ in range(n):
        qb, qa = rng.integers(1, 101, 2)
        rows.append((bid * TICK, qb, (bid + spread) * TICK, qa))
        if rng.random() < 0.3:
            up = rng.random() < qb / (qb + qa)
            if rng.random() < 0.5:  # both sides move
                bid += 1 if up else -1
            else:  # one side moves: the spread opens or closes
                wider = spread == 1
                bid += (not up and wider) * -1 + (up and not wider) * 1
                spread = 2 if wider else 1
    return np.array(rows, np.float64)


def look_up(best: NDArray[np.float64], table: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Return (micro-price, weighted mid, imbalance, spread, seen) of each quote."""
    n = len(best)
    out = np.zeros((n, 5))
    kernel.micro_price(
        np.ones(n, np.bool_), np.zeros(n, np.int32), np.arange(n, dtype=np.int32),
        np.ascontiguousarray(best, np.float64), np.array([[-1.0 if table is None else 0.0]]),
        np.empty((0, 1, 1)) if table is None else table[None], TICK, out,
    )  # fmt: skip
    return out


@pytest.fixture(scope="module")
def fitted() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    quotes = quotes_of(np.random.Generator(np.random.Philox(key=5)), 60_000)
    return quotes, fit_micro_price(quotes, TICK, imbalances=5, spreads=2)


def test_the_kernel_is_compiled() -> None:
    assert kernel.micro_price.signatures


def test_the_weighted_mid_lies_towards_the_smaller_size() -> None:
    out = look_up(np.array([(10.0, 30.0, 10.1, 10.0)]), None)[0]
    assert out == pytest.approx([10.075, 10.075, 0.75, 0.1, 1.0], rel=1e-12)


def test_it_lies_between_bid_and_ask_and_is_symmetric(rng: np.random.Generator) -> None:
    best = quotes_of(rng, 500)
    out = look_up(best, None)[:, 0]
    assert ((best[:, 0] <= out) & (out <= best[:, 2])).all()
    exchanged = best[:, [0, 3, 2, 1]]
    assert out + look_up(exchanged, None)[:, 0] == pytest.approx(best[:, 0] + best[:, 2], rel=1e-12)


def test_the_table_is_looked_up_by_imbalance_and_spread() -> None:
    table = np.array([[-0.1, -0.2], [0.3, math.nan], [0.1, 0.2]])
    best = [
        (10.0, 1.0, 10.01, 9.0),
        (10.0, 9.0, 10.02, 1.0),
        (10.0, 5.0, 10.01, 5.0),
        (10.0, 5.0, 10.02, 5.0),  # not fitted
        (10.0, 9.0, 10.03, 1.0),  # too wide
        (10.0, 9.0, 10.0, 1.0),  # locked
        (10.0, 9.0, 9.99, 1.0),  # crossed
    ]
    out = look_up(np.array(best), table)
    assert out[:3, 0] == pytest.approx([9.905, 10.21, 10.305], rel=1e-12)
    assert (out[3:, 0] == out[3:, 1]).all()


def test_a_quote_without_a_side_is_none() -> None:
    assert not look_up(np.array([(0.0, 0.0, 10.1, 10.0), (10.0, 1.0, 0.0, 0.0)]), None).any()


def test_the_fit_is_antisymmetric(fitted: tuple[NDArray[np.float64], ...]) -> None:
    _, table = fitted
    assert (table == -table[::-1]).all()
    assert (table[2] == 0).all()


def test_the_fit_rises_with_the_imbalance(fitted: tuple[NDArray[np.float64], ...]) -> None:
    _, table = fitted
    assert (np.diff(table, axis=0) > 0).all()
    assert np.abs(table).max() < 2 * TICK


def test_the_micro_price_is_a_martingale(fitted: tuple[NDArray[np.float64], ...]) -> None:
    """It is the limit of expected mids (theorem 3.1), so from each state its mean change is 0.

    The states of both a quote and its mirror make the mean, as they made the fit.
    """
    quotes, table = fitted
    price = look_up(quotes, table)
    state = (
        np.minimum((price[:, 2] * 5).astype(int), 4) * 2
        + np.rint(price[:, 3] / TICK).astype(int)
        - 1
    )
    mirror = (4 - state // 2) * 2 + state % 2
    change = np.diff(price[:, 0])
    total = np.bincount(state[:-1], change, 10) - np.bincount(mirror[:-1], change, 10)
    visits = np.bincount(state[:-1], minlength=10) + np.bincount(mirror[:-1], minlength=10)
    assert total / visits == pytest.approx(np.zeros(10), abs=1e-9)
    mid = np.diff((quotes[:, 0] + quotes[:, 2]) / 2)
    drift = np.bincount(state[:-1], mid, 10) - np.bincount(mirror[:-1], mid, 10)
    assert np.abs(drift / visits).max() > 1e-4  # the mid itself is none


def test_a_chain_with_a_known_answer() -> None:
    """Heavy bids, then with certainty a tick up into balance: G is a tick; mirrored, minus one."""
    up = [(10.0, 90.0, 10.01, 10.0), (10.01, 50.0, 10.02, 50.0)]
    down = [(10.0, 10.0, 10.01, 90.0), (9.99, 50.0, 10.0, 50.0), (10.0, 10.0, 10.01, 90.0)]
    gap = [(0.0, 0.0, 0.0, 0.0)]
    table = fit_micro_price(np.array([*up, *gap, *down[:2], *gap] * 3), TICK, 3, 1)
    assert table[[0, 2], 0] == pytest.approx([-TICK, TICK], rel=1e-12)
    assert math.isnan(table[1, 0])  # nothing ever follows balance


def test_where_the_mid_never_moves_nothing_is_fitted() -> None:
    assert np.isnan(fit_micro_price(np.array([(10.0, 1.0, 10.01, 1.0)] * 5), TICK)).all()


def test_tables_of_several_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="several shapes"):
        MicroPrice({"A": np.zeros((3, 2)), "B": np.zeros((5, 2))})
