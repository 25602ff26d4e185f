"""Fields of a request as plain types; each raises ModelFailed with the field's name."""

from __future__ import annotations

import math
from typing import Any

from operators.market.model_failed import ModelFailed


def number(name: str, given: Any) -> float:
    """Return a finite number."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        raise ModelFailed(f"{name} is no finite number")
    return float(given)


def text(name: str, given: Any) -> str:
    """Return a text that is not empty."""
    if not isinstance(given, str) or not given:
        raise ModelFailed(f"{name} is no text")
    return given


def table(name: str, given: Any) -> dict[str, Any]:
    """Return an object of JSON."""
    if not isinstance(given, dict) or not all(isinstance(key, str) for key in given):
        raise ModelFailed(f"{name} is no object")
    return given


def weights_of(name: str, given: Any) -> dict[str, float]:
    """Return an object of numbers."""
    return {key: number(f"{name} of {key}", item) for key, item in table(name, given).items()}
