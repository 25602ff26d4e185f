"""Settings of target weights: what is optimised, under which constraints, and when."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from flows.settings.part import Part

NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Bounds(Part):
    """How much of the portfolio one position, or a group of them, may be."""

    least: float = Field(default=0.0, ge=-1, le=1)
    most: float = Field(default=1.0, ge=-1, le=1)


class WeightGroup(Bounds):
    """Bounds of the sum of several positions."""

    symbols: tuple[str, ...] = ()


class Target(Part):
    """Target weights of one portfolio: what is optimised, under which constraints, and when."""

    objective: Literal[
        "min-variance", "max-sharpe", "min-cvar", "risk-parity", "hrp", "black-litterman"
    ]
    every: int = Field(default=21, ge=1)
    """Sessions between two optimisations ..."""
    drift: float | None = Field(default=None, gt=0)
    """... and by how much a weight may stray from its target before the next is due."""
    apply: bool = False
    """Whether the portfolio takes the target weights over from when they count."""
    shrinkage: Literal["ledoit-wolf", "none"] = "ledoit-wolf"
    long_only: bool = True
    bounds: dict[str, Bounds] = {}
    """By symbol; ``*`` for all others."""
    turnover: float | None = Field(default=None, gt=0)
    """The most of sum |new - present|."""
    groups: dict[str, WeightGroup] = {}
    market_weights: dict[str, NotNegative] = {}
    """black-litterman: what the market holds in equilibrium, by symbol, in any unit."""

    @model_validator(mode="after")
    def _has_a_market(self) -> Target:
        if self.market_weights and self.objective != "black-litterman":
            raise ValueError("market_weights are of black-litterman alone")
        if self.market_weights and not any(self.market_weights.values()):
            raise ValueError("market_weights are all 0")
        return self

    def constraints(self) -> dict[str, Any]:
        """Return the constraints as a request for weights says them."""
        said: dict[str, Any] = {"long_only": self.long_only}
        if self.bounds:
            said["bounds"] = {s: {"min": b.least, "max": b.most} for s, b in self.bounds.items()}
        if self.turnover is not None:
            said["turnover"] = self.turnover
        if self.groups:
            said["groups"] = {
                name: {"symbols": list(g.symbols), "min": g.least, "max": g.most}
                for name, g in self.groups.items()
            }
        return said
