"""What VaR and ES of a normal variable are per unit of its standard deviation."""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist


@lru_cache(maxsize=64)
def normal_tail(confidence: float) -> tuple[float, float]:
    """Return (z, φ(z)/(1 - c)) with z = Φ⁻¹(c) (McNeil, Frey, Embrechts 2015, section 2.3)."""
    z = NormalDist().inv_cdf(confidence)
    return z, NormalDist().pdf(z) / (1.0 - confidence)
