"""Maximum likelihood of an exponential Hawkes process; off the hot path."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from operators.market.kernels import hawkes as kernel
from operators.market.signals.hawkes import Excitation

LEAST_EVENTS = 20
FADING = (0.1, 1.0, 10.0)
"""The search begins where one event's effect fades at these multiples of the mean rate."""

_LOG_RANGE = ((-20.0, 20.0), (-20.0, -1e-6), (-20.0, 20.0))
"""Bounds of ln μ, ln α and ln β, in units of the mean rate: α < 1, or the process explodes."""


def fit_hawkes(times_s: NDArray[np.float64], horizon_s: float) -> Excitation:
    """Return the most likely parameters of events at ``times_s`` within [0, ``horizon_s``].

    L-BFGS-B on the logarithms of the parameters with the exact gradient (kernels/hawkes.py), from a
    few fixed beginnings, of which the best end counts. Raises ValueError for fewer than 20 events,
    for times that do not ascend strictly (events at one instant have no maximum of the likelihood:
    count them once, or give them times of their own) or that lie outside, and where no search
    ends.
    """
    times = np.ascontiguousarray(times_s, np.float64)
    if len(times) < LEAST_EVENTS:
        raise ValueError(f"{len(times)} events are too few")
    if not (np.diff(times) > 0).all() or times[0] < 0 or times[-1] > horizon_s:
        raise ValueError("times must ascend strictly within the horizon")
    rate = len(times) / horizon_s
    scaled, end = times * rate, horizon_s * rate  # one event per unit of time
    gradient = np.empty(3)

    def loss(logs: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        mu, alpha, beta = np.exp(logs).tolist()
        value = kernel.log_likelihood(scaled, end, mu, alpha, beta, gradient)
        return -value, -gradient * np.exp(logs)

    beginnings = [np.log([0.5, 0.5, fading]) for fading in FADING]
    ends = [
        minimize(loss, x, jac=True, method="L-BFGS-B", bounds=_LOG_RANGE, options={"maxiter": 500})
        for x in beginnings
    ]
    good = [found for found in ends if found.success]
    if not good:
        raise ValueError(f"the likelihood has no maximum within reach: {ends[0].message}")
    mu, alpha, beta = np.exp(min(good, key=lambda found: float(found.fun)).x).tolist()
    return Excitation(mu * rate, alpha, beta * rate)
