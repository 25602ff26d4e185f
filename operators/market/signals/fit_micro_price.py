"""Stoikov's micro-price adjustment G from recorded quotes; off the hot path."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_TERMS = 100_000
"""Terms of the sum over B^i before it counts as divergent."""
TOLERANCE = 1e-13
"""The sum ends where a term is below this share of a tick."""


def fit_micro_price(
    quotes: NDArray[np.float64], tick_size: float, imbalances: int = 11, spreads: int = 5
) -> NDArray[np.float64]:
    """Return G float64[imbalances, spreads] in units of price, for `MicroPrice`.

    ``quotes`` float64[n, 4] are the (bid, size, ask, size) of one symbol after each change, in
    order. A state is a bucket of the imbalance and a spread of 1 to ``spreads`` ticks; quotes
    outside of that, or with a side absent, break the sequence. An odd number of buckets has
    one around a balanced book, where G is 0 by symmetry.

    With Q the probabilities of going from state to state while the mid stays, T while it moves, and
    m the expected move: G1 = (1 - Q)^-1 m, B = (1 - Q)^-1 T, G = sum over i of B^i G1 (Stoikov,
    "The micro-price", SSRN 2970694, theorem 3.1). Each transition is also counted mirrored, with
    bid and ask exchanged, which is what makes the sum converge: G(I, S) = -G(1 - I, S). A state
    that never leads to a move has no G: NaN. Raises ValueError where the sum does not converge.
    """
    stay, move, drift = _count(quotes, tick_size, imbalances, spreads)
    ends = drift[0] > 0
    while (more := ends | (stay[:, ends] > 0).any(axis=1)).sum() > ends.sum():
        ends = more  # a move of the mid can be reached from these states
    if not ends.any():
        return np.full((imbalances, spreads), np.nan)
    visits = (stay.sum(axis=1) + move.sum(axis=1))[ends]
    first = np.column_stack([drift[1][ends], move[np.ix_(ends, ends)]]) / visits[:, None]
    q = stay[np.ix_(ends, ends)] / visits[:, None]
    solved = np.linalg.solve(np.eye(len(q)) - q, first)
    term, b = solved[:, 0], solved[:, 1:]
    g = np.zeros(len(term))
    for _ in range(MOST_TERMS):
        g += term
        if np.abs(term).max() < TOLERANCE * tick_size:
            break
        term = b @ term
    else:
        raise ValueError("the sum over B^i does not converge on these quotes")
    table = np.full(imbalances * spreads, np.nan)
    table[ends] = g
    grid = table.reshape(imbalances, spreads)
    symmetric: NDArray[np.float64] = 0.5 * (grid - grid[::-1])  # what rounding has spoilt of it
    return symmetric


def _count(
    quotes: NDArray[np.float64], tick_size: float, imbalances: int, spreads: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return transitions [from, to] without and with a move, and (moves, their sum) by state."""
    bid, bid_size, ask, ask_size = quotes.T
    spread = np.rint((ask - bid) / tick_size).astype(np.int64)
    usable = (bid > 0) & (ask > 0) & (spread >= 1) & (spread <= spreads)
    imbalance = np.divide(bid_size, bid_size + ask_size, out=np.zeros(len(bid)), where=usable)
    bucket = np.minimum((imbalance * imbalances).astype(np.int64), imbalances - 1)
    state = bucket * spreads + spread - 1
    mirror = (imbalances - 1 - bucket) * spreads + spread - 1
    pair = np.flatnonzero(usable[:-1] & usable[1:])
    half_ticks = np.rint(np.diff(bid + ask) / tick_size)[pair]
    moved = half_ticks != 0
    count = imbalances * spreads
    stay, move = np.zeros((count, count)), np.zeros((count, count))
    drift = np.zeros((2, count))
    for states, sign in ((state, 0.5), (mirror, -0.5)):
        origin, target = states[pair], states[pair + 1]
        np.add.at(stay, (origin[~moved], target[~moved]), 1.0)
        np.add.at(move, (origin[moved], target[moved]), 1.0)
        np.add.at(drift[0], origin[moved], 1.0)
        np.add.at(drift[1], origin[moved], sign * tick_size * half_ticks[moved])
    return stay, move, drift
