"""What a method is: a series of returns goes in, VaR and ES of the next return come out.

Returns are simple and finite (the callers see to it); VaR and ES are fractions of the value,
positive for a loss. A method keeps a window of returns or less, so its memory is bounded.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Figure(NamedTuple):
    """VaR and ES of the next return, and whether the method vouches for them."""

    var: float
    es: float
    valid: bool


class Method(Protocol):
    """One way to forecast the losses of one series; all of its state is in its snapshot."""

    @property
    def name(self) -> str:
        """Return what names the method in records."""

    def revalue(self, returns: NDArray[np.float64]) -> None:
        """Start again on this series (contiguous, oldest first): the state of updates by each."""

    def update(self, ret: float) -> None:
        """Take in one more return."""

    def forecast(self, confidence: float) -> Figure | None:
        """Return the figures at a confidence in (0, 1), or None where nothing can be said yet."""

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state as plain values (state/snapshots.py)."""

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over the state of a snapshot."""
