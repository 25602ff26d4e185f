"""Quantile and tail mean of the Cornish-Fisher expansion (Cornish and Fisher 1937).

The quantile of a standardised variable with skewness s and excess kurtosis k is, to this order,
q(z) = z + (z² - 1) s/6 + (z³ - 3z) k/24 - (2z³ - 5z) s²/36, z the normal quantile.
"""

from __future__ import annotations

from numba import njit

from operators.market.kernels.moments import moments
from operators.market.kernels.ring import COUNT


@njit("f8(f8, f8, f8)", cache=True, nogil=True)
def quantile(z, skewness, excess):
    """Return q(z)."""
    return (
        z
        + (z * z - 1.0) * skewness / 6.0
        + z * (z * z - 3.0) * excess / 24.0
        - z * (2.0 * z * z - 5.0) * (skewness * skewness) / 36.0
    )


@njit("f8(f8, f8, f8, f8)", cache=True, nogil=True)
def tail_mean(z, ratio, skewness, excess):
    """Return the mean of q(u) over normal u ≤ z, with ``ratio`` = φ(z)/Φ(z).

    The integrals of uφ, (u² - 1)φ, (u³ - 3u)φ and (2u³ - 5u)φ up to z are -φ(z) times 1, z,
    z² - 1 and 2z² - 1 (the closed form is also in Maillard 2012, SSRN 1997178).
    """
    return -ratio * (
        1.0
        + z * skewness / 6.0
        + (z * z - 1.0) * excess / 24.0
        - (2.0 * z * z - 1.0) * (skewness * skewness) / 36.0
    )


@njit("b1(f8, f8)", cache=True, nogil=True)
def is_monotone(skewness, excess):
    """Return whether q(z) nowhere falls, so that it is a quantile function at all.

    q′(z) = (k/8 - s²/6) z² + (s/3) z + (1 - k/8 + 5s²/36) is a parabola that must not go below
    0 (the domain of validity in Maillard 2012, SSRN 1997178).
    """
    square = skewness * skewness
    bend = excess / 8.0 - square / 6.0
    level = 1.0 - excess / 8.0 + 5.0 * square / 36.0
    if bend == 0.0:
        return skewness == 0.0 and level >= 0.0
    return bend > 0.0 and square / 9.0 <= 4.0 * bend * level


@njit("UniTuple(f8, 2)(f8, f8, f8, f8, f8, f8)", cache=True, nogil=True)
def risk(mean, sigma, skewness, excess, z, ratio):
    """Return (VaR, ES) of returns with these moments at z = Φ⁻¹(1 - c), ratio = φ(z)/(1 - c)."""
    return (
        0.0 - (mean + sigma * quantile(z, skewness, excess)),
        0.0 - (mean + sigma * tail_mean(z, ratio, skewness, excess)),
    )


@njit("Tuple((f8, f8, b1))(i8[::1], f8[::1], f8, f8)", cache=True, nogil=True)
def forecast(cursor, sums, z, ratio):
    """Return (VaR, ES, whether q is monotone) from the sums of kernels/moments.py."""
    mean, sigma, skewness, excess = moments(cursor[COUNT], sums)
    value_at_risk, shortfall = risk(mean, sigma, skewness, excess, z, ratio)
    return value_at_risk, shortfall, is_monotone(skewness, excess)
