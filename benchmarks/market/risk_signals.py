"""Contests of the signals: one symbol, one more tick, or the same ticks in a block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.market import risk_numpy_signals as scratch
from benchmarks.market.risk_contest import Contest
from benchmarks.market.risk_ticks import TICK, Ticks
from operators.market.kernels import (
    cusum,
    hawkes,
    kyle,
    microprice,
    order_flow,
    pairs,
    realised,
    vpin,
)
from state.clock import NS

Arrays = tuple[NDArray[Any], ...]
Step = Callable[..., Any]
"""Takes the columns of the ticks that come next; returns what the signal is after them."""

WINDOW, CALLS, BLOCK = 500, 250, 4096
INTERVAL_NS, GRID_NS = 60 * NS, 5 * NS
KYLE_TRADES, BETA, BUCKETS = 200, 1.0, 50
THRESHOLD = 0.002
VOLUME = 800.0
"""Of a bucket of VPIN: eight trades of the mean size."""
KALMAN = (1e-8, 1e-6, 1.0)
TABLE = np.linspace(-0.01, 0.01, 10)[:, None] * np.array([0.5, 1.0])
"""Micro-price adjustments by imbalance, for spreads of one and two ticks."""


@dataclass(frozen=True, slots=True)
class Signal:
    """How a signal is stepped, and what numpy makes of the columns of a whole window.

    ``block`` is numpy's way to the same for a block of ticks, None where there is none.
    """

    name: str
    window: int
    columns: Callable[[Ticks], Arrays]
    start: Callable[[], Step]
    theirs: Step
    block: Step | None
    tolerance: float = 1e-9


def per_tick() -> list[Contest]:
    """Return the contests of part (c): one more tick."""
    ticks = Ticks.made(WINDOW + CALLS)
    return [_per_tick(signal, ticks) for signal in SIGNALS]


def per_block() -> list[Contest]:
    """Return the contests of part (d): `BLOCK` ticks at once."""
    ticks = Ticks.made(BLOCK)
    return [_per_block(signal, ticks) for signal in SIGNALS if signal.block is not None]


def _per_tick(signal: Signal, ticks: Ticks) -> Contest:
    columns = signal.columns(ticks)
    # All views are made beforehand: neither side pays for them.
    rows = [tuple(c[i : i + 1] for c in columns) for i in range(WINDOW, WINDOW + CALLS)]
    ends = range(WINDOW + 1, WINDOW + CALLS + 1)
    held = [tuple(c[end - signal.window : end] for c in columns) for end in ends]
    step = signal.start()
    step(*(c[:WINDOW] for c in columns))
    return Contest(
        signal.name,
        CALLS,
        lambda i: step(*rows[i]),
        lambda i: signal.theirs(*held[i]),
        lambda i: signal.start()(*held[i]),
        signal.tolerance,
    )


def _per_block(signal: Signal, ticks: Ticks) -> Contest:
    columns, step, block = signal.columns(ticks), signal.start(), signal.block
    assert block is not None
    return Contest(
        signal.name,
        1,
        lambda i: step(*columns),
        lambda i: block(*columns),
        lambda i: signal.start()(*columns),
    )


def _everywhere(count: int) -> Arrays:
    """Return what says that each tick counts, is of the first symbol and in the first window."""
    return np.ones(count, np.bool_), np.zeros(count, np.int32), np.zeros(count, np.int32)


def _order_flow() -> Step:
    last, flow = np.zeros((1, 4)), np.zeros((1, 2))

    def step(*columns: NDArray[Any]) -> Any:
        order_flow.order_flow(*columns, last, flow)
        return flow[0, 0]

    return step


def _micro_price() -> Step:
    table_of, windows, tables = np.zeros((1, 1)), np.zeros((1, 5)), TABLE[None]

    def step(*columns: NDArray[Any]) -> Any:
        microprice.micro_price(*columns, table_of, tables, TICK, windows)
        return windows[0, :4]

    return step


def _realised() -> Step:
    cells, start = np.zeros((1, INTERVAL_NS // GRID_NS)), np.zeros(1, np.int64)
    slot, place, out = np.zeros(1, np.int32), np.zeros(1, np.int64), np.empty((1, 4))
    last, last_end = np.zeros(1), np.zeros(1, np.int64)

    def step(chosen: Any, where: Any, price: Any, ts_ns: Any) -> Any:
        realised.sample(chosen, where, price, ts_ns, GRID_NS, start, cells)
        last_end[0] = -1  # it never followed a window
        realised.close(slot, start, place, INTERVAL_NS, cells, last, last_end, out)
        return out[0]

    return step


def _kyle_lambda() -> Step:
    pending, count, sums = np.zeros((1, 2)), np.zeros((1, 2), np.int64), np.zeros((1, 5))
    ring, windows = np.zeros((1, 2 * KYLE_TRADES)), np.zeros((1, 4))
    symbols = pending, count, sums, ring

    def step(*columns: NDArray[Any]) -> Any:
        kyle.kyle_lambda(columns, symbols, windows)
        return windows[0, :2]

    return step


def _hawkes() -> Step:
    parameters, state = np.array([[0.1, 0.5, BETA]]), np.zeros((1, 2))
    last_ns, windows, windows_ns = np.zeros(1, np.int64), np.zeros((1, 3)), np.zeros(1, np.int64)
    symbols = state, last_ns

    def step(*columns: NDArray[Any]) -> Any:
        hawkes.excite(columns, parameters, symbols, (windows, windows_ns))
        return windows[0, :2]

    return step


def _cusum() -> Step:
    changes = np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0)
    symbols = _threshold, state = np.full(1, THRESHOLD), np.zeros((1, 3))
    out = np.empty(BLOCK, np.int64), np.empty(BLOCK), np.empty(BLOCK)

    def step(*columns: NDArray[Any]) -> Any:
        cusum.cusum(columns, changes, symbols, out)
        return state[0, 1:]

    return step


def _vpin() -> Step:
    volume, symbols = np.full((1, 1), VOLUME), (np.zeros((1, 4)), np.zeros((1, BUCKETS)))
    out = _row, value, _count = np.empty(BLOCK, np.int64), np.empty(BLOCK), np.empty(BLOCK)
    latest = np.zeros(1)

    def step(*columns: NDArray[Any]) -> Any:
        found = vpin.vpin(columns, volume, symbols, out)
        if found:
            latest[0] = value[found - 1]
        return latest[0]

    return step


def _pairs() -> Step:
    state, out = np.array([0.0, 0.0, KALMAN[2], 0.0, KALMAN[2]]), np.empty(2)

    def step(y: NDArray[Any], x: NDArray[Any]) -> Any:
        for a, b in zip(y.tolist(), x.tolist(), strict=True):
            pairs.step(state, a, b, *KALMAN[:2], out)
        return out

    return step


def _of_trades(ticks: Ticks) -> Arrays:
    chosen, slot, place = _everywhere(len(ticks.price))
    return chosen, slot, place, ticks.sign, ticks.size, ticks.mid


SIGNALS = (
    Signal(
        "order-flow-imbalance", WINDOW, lambda t: (*_everywhere(len(t.mid)), t.best), _order_flow,
        lambda *c: scratch.order_flow(c[3]).sum(), lambda *c: scratch.order_flow(c[3]).sum(),
    ),
    Signal(
        "micro-price", 1, lambda t: (*_everywhere(len(t.mid)), t.best), _micro_price,
        lambda *c: scratch.micro_price(c[3], TABLE, TICK)[:, -1],
        lambda *c: scratch.micro_price(c[3], TABLE, TICK)[:, -1],
    ),
    Signal(
        "realised-variance", WINDOW, lambda t: (*_everywhere(len(t.mid))[::2], t.mid, t.ts_ns),
        _realised,
        lambda _, __, p, t: scratch.realised(p, t, 0, GRID_NS, INTERVAL_NS // GRID_NS), None,
    ),
    Signal(
        "kyle-lambda", KYLE_TRADES + 1, _of_trades, _kyle_lambda,
        lambda *c: scratch.kyle_lambda(c[3] * c[4], c[5]),
        lambda *c: scratch.kyle_lambdas(c[3] * c[4], c[5], KYLE_TRADES)[:, -1],
    ),
    Signal(
        "hawkes", WINDOW, lambda t: (*_everywhere(len(t.mid)), t.sign, t.ts_ns), _hawkes,
        lambda *c: scratch.hawkes(c[3], c[4], BETA),
        lambda *c: scratch.excitations(c[3], c[4], BETA)[:, -1],
    ),
    Signal(
        "cusum", WINDOW, lambda t: (*_everywhere(len(t.mid))[:2], t.price), _cusum,
        lambda *c: scratch.cusum(c[2], THRESHOLD)[1], lambda *c: scratch.cusum(c[2], THRESHOLD)[1],
    ),
    Signal(
        "pairs", WINDOW, lambda t: (np.log(t.price), np.log(t.other)), _pairs,
        lambda y, x: scratch.pairs(y, x, *KALMAN), None, 1e-6,  # ill-conditioned: 1 / Q is 1e8
    ),
    Signal(
        "vpin", WINDOW, lambda t: (*_everywhere(len(t.mid))[:2], t.sign, t.size), _vpin,
        lambda *c: scratch.vpin(c[2], c[3], VOLUME, BUCKETS)[1][-1],
        lambda *c: scratch.vpin(c[2], c[3], VOLUME, BUCKETS)[1][-1],
    ),
)  # fmt: skip
"""The eight; realised variance is worked out at the end of a window and pairs once a bar, so blocks
of ticks have nothing of them to compare but the sampling."""
