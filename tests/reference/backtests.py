"""Backtests of VaR and ES, from the definitions; scipy gives the distributions.

An exception is a return below -VaR. ``hits`` are the exceptions, oldest first. A term 0 log 0
counts as 0 throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy
from scipy.stats import binom, chi2

Hits = Sequence[bool] | NDArray[np.bool_]
TRAFFIC_WINDOW = 250
GREEN, YELLOW = 0.95, 0.9999


def log_likelihood(misses: int, hits: int, probability: float) -> float:
    """Return the log likelihood of independent draws, without the binomial coefficient."""
    return float(xlogy(misses, 1 - probability) + xlogy(hits, probability))


def kupiec(observations: int, exceptions: int, confidence: float) -> tuple[float, float]:
    """Return the likelihood ratio of the proportion of failures and its p-value, chi2(1).

    Kupiec, "Techniques for Verifying the Accuracy of Risk Measurement Models" (1995).
    """
    misses = observations - exceptions
    expected = log_likelihood(misses, exceptions, 1 - confidence)
    observed = log_likelihood(misses, exceptions, exceptions / observations)
    ratio = -2 * (expected - observed)
    return ratio, float(chi2.sf(ratio, 1))


def transitions(hits: Hits) -> tuple[int, int, int, int]:
    """Return T00, T01, T10, T11: how often state i was followed by state j."""
    pairs = list(pairwise(hits))
    t00, t01, t10, t11 = (
        sum(1 for a, b in pairs if (bool(a), bool(b)) == (i, j))
        for i in (False, True)
        for j in (False, True)
    )
    return t00, t01, t10, t11


def independence(t00: int, t01: int, t10: int, t11: int) -> tuple[float, float]:
    """Return the likelihood ratio of independence against a Markov chain, p by chi2(1).

    Christoffersen, "Evaluating Interval Forecasts" (1998). A state that was never left has no
    transition probability and no term.
    """
    after_miss, after_hit = t00 + t01, t10 + t11
    total = after_miss + after_hit
    if total == 0:
        return 0.0, 1.0
    joint = log_likelihood(t00 + t10, t01 + t11, (t01 + t11) / total)
    chain = log_likelihood(t00, t01, t01 / after_miss if after_miss else 0.0)
    chain += log_likelihood(t10, t11, t11 / after_hit if after_hit else 0.0)
    ratio = -2 * (joint - chain)
    return ratio, float(chi2.sf(ratio, 1))


def conditional_coverage(kupiec_lr: float, independence_lr: float) -> tuple[float, float]:
    """Return the sum of both ratios, p by chi2(2)."""
    ratio = kupiec_lr + independence_lr
    return ratio, float(chi2.sf(ratio, 2))


def cumulative_probability(observations: int, exceptions: int, confidence: float) -> float:
    """Return P(X <= x), X binomial: what MathWorks' traffic light reports as Probability."""
    return float(binom.cdf(exceptions, observations, 1 - confidence))


def type_one(observations: int, exceptions: int, confidence: float) -> float:
    """Return P(X >= x): how likely a true model has so many exceptions or more."""
    return float(binom.sf(exceptions - 1, observations, 1 - confidence))


def zone(observations: int, exceptions: int, confidence: float) -> str:
    """Return the Basel zone of a number of exceptions (green up to 95 %, yellow to 99.99 %).

    Basel Committee, "Supervisory framework for the use of backtesting" (1996).
    """
    probability = cumulative_probability(observations, exceptions, confidence)
    if probability <= GREEN:
        return "green"
    return "yellow" if probability <= YELLOW else "red"


def traffic_light(hits: Hits, confidence: float, window: int = TRAFFIC_WINDOW) -> str:
    """Return the zone of the last 250 sessions, or of as many as there are."""
    recent = hits[-window:]
    return zone(len(recent), sum(bool(hit) for hit in recent), confidence)


def acerbi_szekely(
    returns: Sequence[float] | NDArray[np.float64],
    hits: Hits,
    shortfalls: Sequence[float] | NDArray[np.float64],
    confidence: float,
) -> float:
    """Return Z2 = sum(r I / ES) / (T (1-c)) + 1: about 0 if ES is right, negative if too small.

    Acerbi and Szekely, "Backtesting Expected Shortfall" (2014), test 2. An exception where ES is
    not positive (a window of zeros) has no finite term and adds none.
    """
    total = 0.0
    for value, hit, shortfall in zip(returns, hits, shortfalls, strict=True):
        if hit and shortfall > 0:
            total += value / shortfall
    return total / (len(returns) * (1 - confidence)) + 1
