"""The spread of two symbols by a Kalman filter."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from operators.market.kernels import pairs as kernel
from state.snapshots import pack_array, unpack_array


class Pairs:
    """``pairs``: how far ln(first) is from alpha + beta ln(second), in standard deviations.

    Fed with the closes of both at the same times, in the order of event time. The value is the
    innovation over the square root of its variance (kernels/pairs.py), emitted once
    ``min_observations`` closes came before, under the pair's name. ``process_variance`` is what
    alpha and beta gain at each step, ``noise_variance`` that of ln(first) around the line,
    ``prior_variance`` that of alpha and beta around 0 in the beginning. Details: ``alpha`` and
    ``beta`` after the step, ``innovation``, ``variance``.
    """

    kind = "pairs"

    def __init__(
        self,
        name: str,
        process_variance: float = 1e-8,
        noise_variance: float = 1e-6,
        prior_variance: float = 1.0,
        min_observations: int = 20,
    ) -> None:
        self.name = name
        self._process_variance = process_variance
        self._noise_variance = noise_variance
        self._min_observations = min_observations
        self._state = np.array([0.0, 0.0, prior_variance, 0.0, prior_variance])
        self._observations = 0

    def step(self, end_ns: int, a: float, b: float) -> dict[str, Any] | None:
        """Take the closes of bars that end at ``end_ns``; return a ``features`` record or None."""
        out = np.empty(2)
        kernel.step(
            self._state, math.log(a), math.log(b), self._process_variance, self._noise_variance, out
        )
        self._observations += 1
        if self._observations <= self._min_observations:
            return None
        innovation, variance = out.tolist()
        alpha, beta = self._state[:2].tolist()
        return {
            "id": f"{self.name}|{self.kind}|{end_ns}",
            "ts_ns": end_ns,
            "symbol": self.name,
            "kind": self.kind,
            "value": innovation / math.sqrt(variance),
            "details": {
                "alpha": alpha,
                "beta": beta,
                "innovation": innovation,
                "variance": variance,
            },
        }

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {"state": pack_array(self._state), "observations": self._observations}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._state = unpack_array(parts["state"])
        self._observations = parts["observations"]
