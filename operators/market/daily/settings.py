"""What daily risk is told; the flow makes it from the user's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, tzinfo
from typing import Any


@dataclass(frozen=True, slots=True)
class Shock:
    """A stress scenario: simple returns by symbol, or the sessions whose returns it repeats."""

    shocks: Mapping[str, float] = field(default_factory=dict)
    other: float = 0.0
    gamma: Mapping[str, float] = field(default_factory=dict)
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Target weights of a portfolio; ``constraints`` go to the optimiser as they are.

    ``market_weights`` are the equilibrium of Black-Litterman, none where it is not said.
    """

    objective: str
    every: int = 21
    drift: float | None = None
    apply: bool = False
    shrinkage: str = "ledoit-wolf"
    constraints: Mapping[str, Any] = field(default_factory=dict)
    market_weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DailySettings:
    """Settings of daily risk; the names are those of the user's settings."""

    methods: tuple[str, ...] = ("historical", "ewma-normal")
    confidences: tuple[float, ...] = (0.99,)
    horizons: tuple[int, ...] = (1,)
    min_observations: int = 20
    window: int = 500
    decay: float = 0.94
    age_decay: float = 0.99
    paths: int = 10_000
    degrees_of_freedom: int = 5
    scenarios: Mapping[str, Shock] = field(default_factory=dict)
    portfolios: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    targets: Mapping[str, Target] = field(default_factory=dict)
    models_every: int = 21
    models_delay_ns: int = 3600 * 10**9
    zone: tzinfo = UTC
    """Where the date of a session is that of its close, if the closes do not say it."""

    @property
    def retained(self) -> int:
        """Return how many sessions are kept for valuing a portfolio anew."""
        return 2 * self.window
