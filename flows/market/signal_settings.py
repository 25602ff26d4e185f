"""Settings of the streaming signals."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from flows.settings.part import Interval, Part, duration_ns

PairName = Annotated[str, Field(min_length=1, max_length=32)]


class Signals(Part):
    """Streaming signals of order flow and prices; records of the output ``features``."""

    kinds: tuple[
        Literal[
            "order-flow-imbalance",
            "micro-price",
            "realised-variance",
            "kyle-lambda",
            "hawkes",
            "cusum",
            "vpin",
        ],
        ...,
    ] = ()
    interval: Interval = duration_ns("1m")  # type: ignore[assignment]  # text is parsed by the function itself
    tick_size: float = Field(default=0.01, gt=0)
    """micro-price: the smallest price step."""
    grid: Interval = duration_ns("5s")  # type: ignore[assignment]  # as above
    """realised-variance: the grid on which returns are taken."""
    kyle_trades: int = Field(default=200, ge=20)
    hawkes_mu: float = Field(default=0.1, ge=0)
    hawkes_alpha: float = Field(default=0.5, ge=0, lt=1)
    hawkes_beta: float = Field(default=1.0, gt=0)
    cusum_threshold: float = Field(default=3.0, gt=0)
    """In standard deviations of the last volatility forecast."""
    vpin_volume: float = Field(default=10_000.0, gt=0)
    vpin_buckets: int = Field(default=50, ge=2)
    pairs: dict[PairName, tuple[str, str]] = {}
    """Two symbols by the name of their pair: the log price of the first is explained by the
    second's, at each bar of risk.interval that both have."""
    pairs_process_variance: float = Field(default=1e-8, ge=0)
    """What the intercept and the slope gain in variance at each step ..."""
    pairs_noise_variance: float = Field(default=1e-6, gt=0)
    """... and that of the first's log price around the line."""
    pairs_prior_variance: float = Field(default=1.0, gt=0)
    pairs_min_observations: int = Field(default=20, ge=1)
