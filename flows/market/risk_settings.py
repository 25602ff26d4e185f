"""Settings of risk: methods, stress scenarios, and when models are fitted."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from flows.settings.part import Duration, Interval, Once, Part, duration_ns

Confidence = Annotated[float, Field(gt=0.5, lt=1)]
Method = Literal[
    "historical",
    "age-weighted",
    "filtered-historical",
    "ewma-normal",
    "cornish-fisher",
    "garch-normal",
    "monte-carlo-normal",
    "monte-carlo-t",
]


class Scenario(Part):
    """A stress scenario: by how much prices move, or between which sessions they once moved.

    ``shocks`` are simple returns by symbol, ``other`` that of all symbols that are not named,
    ``gamma`` second-order sensitivities by symbol. With ``since`` and ``until`` (ISO dates) the
    shocks are the returns from the last close before ``since`` to the last up to ``until``,
    once these sessions have been seen.
    """

    shocks: dict[str, float] = {}
    other: float = 0.0
    gamma: dict[str, float] = {}
    since: date | None = None
    until: date | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Scenario:
        if (self.since is None) != (self.until is None):
            raise ValueError("a historical scenario needs both since and until")
        if self.since is not None and (self.shocks or self.other):
            raise ValueError("a scenario has shocks, or since and until, not both")
        if self.since is None and not self.shocks and not self.other:
            raise ValueError("a scenario needs shocks, other, or since and until")
        return self


def scenarios_of(value: object) -> object:
    """Return the tables of the TOML file that ``value`` names; anything else unchanged."""
    if not isinstance(value, str):
        return value
    try:
        return tomllib.loads(Path(value).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read {value}: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{value} is no TOML: {error}") from None


class Risk(Part):
    """Volatility, VaR and breach signals."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    interval: Interval = duration_ns("1m")  # type: ignore[assignment]  # text is parsed by the function itself
    decay: float = Field(default=0.94, gt=0, lt=1, alias="lambda")
    confidences: Annotated[tuple[Confidence, ...], Once] = Field(default=(0.99,), min_length=1)
    horizons: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Once] = Field(
        default=(1,), min_length=1
    )
    min_observations: int = Field(default=20, ge=2)
    breach_confidence: float = Field(default=0.99, gt=0.5, lt=1)
    methods: Annotated[tuple[Method, ...], Once] = (
        "historical",
        "age-weighted",
        "filtered-historical",
        "ewma-normal",
        "cornish-fisher",
        "garch-normal",
    )
    """The methods of daily risk."""
    window: int = Field(default=500, ge=20)
    """How many sessions the historical methods look back."""
    age_decay: float = Field(default=0.99, gt=0, lt=1)
    paths: int = Field(default=10_000, ge=100)
    degrees_of_freedom: int = Field(default=5, ge=3)
    scenarios: Annotated[dict[str, Scenario], BeforeValidator(scenarios_of)] = {}
    """Stress scenarios by name, or the TOML file that holds them."""


class Models(Part):
    """Fits beside the flow: when they are asked for, and from when they count."""

    every: int = Field(default=21, ge=1)
    """Sessions between two fits of a portfolio's models."""
    delay: Duration = duration_ns("1h")  # type: ignore[assignment]  # as above
    """How long after the close a fit counts, which is the time that a worker has for it."""
