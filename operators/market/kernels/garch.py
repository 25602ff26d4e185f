"""The variance of a GARCH(1,1) with a constant mean, given its parameters (Bollerslev 1986)."""

from __future__ import annotations

from numba import njit

from operators.market.kernels.ring import COUNT, recalled, remember


@njit("f8(f8, f8, f8, f8, f8, f8)", cache=True, nogil=True)
def step(variance, ret, mu, omega, alpha, beta):
    """Return the variance of the next return: ω + α(r - μ)² + βh."""
    shock = ret - mu
    return omega + alpha * (shock * shock) + beta * variance


@njit("f8(f8[::1], i8[::1], f8, f8, f8, f8)", cache=True, nogil=True)
def filtered(ring, cursor, mu, omega, alpha, beta):
    """Return the variance of the next return after the history in a ring that is not empty.

    h₀, the mean of (r - μ)² over the history, stands for both the variance and the squared shock
    before it, so that the first return has the variance ω + (α + β)h₀ (Fiorentini, Calzolari
    and Panattoni 1996).
    """
    count = cursor[COUNT]
    before = 0.0
    for i in range(count):
        shock = recalled(ring, cursor, i) - mu
        before += shock * shock
    before /= count
    variance = omega + alpha * before + beta * before
    for i in range(count):
        variance = step(variance, recalled(ring, cursor, i), mu, omega, alpha, beta)
    return variance


@njit("f8(f8[::1], i8[::1], f8, f8, f8, f8, f8, f8)", cache=True, nogil=True)
def advance(ring, cursor, variance, ret, mu, omega, alpha, beta):
    """Put one more return into the history and return the variance of the next."""
    remember(ring, cursor, ret)
    if cursor[COUNT] == 1:
        return filtered(ring, cursor, mu, omega, alpha, beta)
    return step(variance, ret, mu, omega, alpha, beta)
