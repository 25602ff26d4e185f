"""The contract of every method; one joins by being listed here, or by a test that calls `check`."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from operators.market.methods.age_weighted import AgeWeighted
from operators.market.methods.cornish_fisher import CornishFisher
from operators.market.methods.ewma import EwmaNormal
from operators.market.methods.filtered import FilteredHistorical
from operators.market.methods.garch import GarchNormal
from operators.market.methods.historical import Historical
from operators.market.methods.method import Figure, Method
from tests.reference.risk import GarchParameters

Make = Callable[[], Method]

WINDOW = 20
CONFIDENCES = (0.9, 0.95, 0.99)
PARAMETERS = GarchParameters(0.0004, 2e-6, 0.11, 0.87)


def fitted_garch() -> GarchNormal:
    """Return one whose parameters came before its first return."""
    method = GarchNormal(WINDOW)
    method.set_parameters(PARAMETERS.mu, PARAMETERS.omega, PARAMETERS.alpha, PARAMETERS.beta)
    return method


METHODS: dict[str, Make] = {
    "historical": lambda: Historical(WINDOW),
    "age-weighted": lambda: AgeWeighted(WINDOW, 0.9),
    "filtered-historical": lambda: FilteredHistorical(WINDOW, 0.94),
    "ewma-normal": lambda: EwmaNormal(WINDOW, 0.94),
    "cornish-fisher": lambda: CornishFisher(WINDOW),
    "garch-normal": lambda: GarchNormal(WINDOW),
}


def check(make: Make, returns: Sequence[float]) -> None:
    """Check a method on more than four windows of returns; raises AssertionError."""
    assert len(returns) > 4 * WINDOW
    check_nothing_is_said_of_nothing(make)
    check_snapshots(make, returns)
    check_snapshot_is_a_copy(make, returns)
    check_input_is_left_alone(make, returns)
    check_memory_is_bounded(make, returns)
    check_figures_are_plain(make, returns)


def check_revaluation(make: Make, returns: Sequence[float]) -> None:
    """A whole series at once is the same as one return after the other, bit for bit."""
    one_by_one, before = fed(make, returns), fed(make, [0.3, -0.2, 0.1] * WINDOW)
    before.revalue(np.array(returns, np.float64))
    assert state(before) == state(one_by_one)
    more = list(reversed(returns))[: WINDOW + 3]
    for ret in more:
        before.update(ret)
        one_by_one.update(ret)
    assert state(before) == state(one_by_one)


def check_nothing_is_said_of_nothing(make: Make) -> None:
    """Before the first return there is no figure."""
    assert make().forecast(0.99) is None
    emptied = fed(make, [0.01, -0.02])
    emptied.revalue(np.empty(0))
    assert emptied.forecast(0.99) is None
    assert emptied.snapshot() == {**make().snapshot(), **_kept_parameters(emptied)}


def check_snapshots(make: Make, returns: Sequence[float]) -> None:
    """A method that is restored at any point goes on as the one that was not."""
    for cut in (0, 1, 2, WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW, 3 * WINDOW + 7):
        going = fed(make, returns[:cut])
        restored = make()
        restored.restore(pickle.loads(pickle.dumps(going.snapshot())))
        for ret in returns[cut : cut + WINDOW + 5]:
            assert state(restored) == state(going)
            going.update(ret)
            restored.update(ret)
        assert state(restored) == state(going)


def check_snapshot_is_a_copy(make: Make, returns: Sequence[float]) -> None:
    """Neither going on nor restoring from it changes a snapshot."""
    method = fed(make, returns[:30])
    taken = method.snapshot()
    before = pickle.dumps(taken)
    restored = make()
    restored.restore(taken)
    for ret in returns[30:60]:
        method.update(ret)
        restored.update(ret)
    assert pickle.dumps(taken) == before


def check_input_is_left_alone(make: Make, returns: Sequence[float]) -> None:
    """A method keeps no view of the array that it is given, and does not write to it."""
    series = np.array(returns)
    method = make()
    method.revalue(series)
    assert series.tolist() == list(returns)
    before = state(method)
    series[:] = 7.0
    assert state(method) == before


def check_memory_is_bounded(make: Make, returns: Sequence[float]) -> None:
    """Once two windows are full, more returns take no more room."""
    method = fed(make, returns[: 2 * WINDOW + 1])
    size = len(pickle.dumps(method.snapshot()))
    for ret in returns[2 * WINDOW + 1 :]:
        method.update(ret)
    assert len(pickle.dumps(method.snapshot())) <= size + 16


def check_figures_are_plain(make: Make, returns: Sequence[float]) -> None:
    """What a record is made of: Python's own numbers, and no negative zero."""
    for series in (returns, [0.0] * WINDOW, [-0.0] * (WINDOW + 1)):
        figure = fed(make, series).forecast(0.99)
        if figure is not None:
            assert [type(x) for x in figure] == [float, float, bool]
            assert "-0.0" not in map(repr, figure)


def fed(make: Make, returns: Sequence[float]) -> Method:
    """Return a new method after these returns, one after the other."""
    method = make()
    for ret in returns:
        method.update(ret)
    return method


def figure_of(make: Make, returns: Sequence[float], confidence: float) -> Figure:
    """Return the figure that a new method makes of a series."""
    method = make()
    method.revalue(np.array(returns, np.float64))
    figure = method.forecast(confidence)
    assert figure is not None
    return figure


def state(method: Method) -> tuple[list[Figure | None], dict[str, Any]]:
    """Return all that can be seen of a method."""
    return [method.forecast(c) for c in CONFIDENCES], method.snapshot()


def _kept_parameters(method: Method) -> dict[str, Any]:
    # A variance that no figure shows is left as it was.
    parts = method.snapshot()
    return {key: parts[key] for key in ("parameters", "variance") if "parameters" in parts}
