"""Backtests of VaR and ES forecasts, online: one step for each session.

- Kupiec 1995: whether exceptions are as frequent as they should be (LR, χ²₁).
- Christoffersen 1998: whether they come independently, from the counts of pairs of neighbouring
  sessions (LR, χ²₁); both together are his test of conditional coverage (χ²₂).
- The traffic light of Basel 1996 ("Supervisory framework for the use of backtesting"), over
  the last 250 sessions and with the zones' cumulative probabilities at any confidence.
- Acerbi and Székely 2014, second test, of ES: Z₂ = 1 + Σ rₜIₜ / (T (1-c) ESₜ). It is 0 on
  average where the forecasts are right, and negative where losses exceed them.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

WINDOW = 250
"""Sessions of the traffic light."""
GREEN, YELLOW = 0.95, 0.9999
"""The largest cumulative probabilities of the green and the yellow zone."""
ROUNDING = 1e-12
MIN_ES = 1e-12
"""An ES below this is that of an empty portfolio: no loss can be measured by it."""


def is_exception(realised_return: float, var: float) -> bool:
    """Say whether a loss exceeds the VaR that was forecast for it, by more than rounding may.

    The same move of two pairs of prices gives returns that differ by some 1e-16.
    """
    return -realised_return > var + ROUNDING


def kupiec_lr(exceptions: int, observations: int, confidence: float) -> float:
    """Return Kupiec's likelihood ratio, 0 without observations.

    2 [x ln(x/T / p) + (T-x) ln((1 - x/T) / (1-p))] with p = 1 - c, where 0 ln 0 is 0.
    """
    others = observations - exceptions
    expected = observations * (1.0 - confidence)
    ratio = _gain(exceptions, expected) + _gain(others, observations * confidence)
    return max(0.0, 2.0 * ratio)


def christoffersen_lr(n00: int, n01: int, n10: int, n11: int) -> float:
    """Return the likelihood ratio of independence.

    ``n01`` counts the sessions with an exception after one without. What is compared is each row's
    frequencies with those of both rows together. It is 0 where there are no exceptions.
    """
    total = n00 + n01 + n10 + n11
    if total == 0:
        return 0.0
    calm, hit = n00 + n10, n01 + n11
    after_calm, after_hit = n00 + n01, n10 + n11
    # Products of whole numbers are exact, so where there is nothing to compare it is exactly 0.
    ratio = _gain(n00, after_calm * calm / total) + _gain(n01, after_calm * hit / total)
    ratio += _gain(n10, after_hit * calm / total) + _gain(n11, after_hit * hit / total)
    return max(0.0, 2.0 * ratio)


def _gain(count: int, expected: float) -> float:
    return count * math.log(count / expected) if count else 0.0


def chi2_p(ratio: float, degrees: int) -> float:
    """Return P(χ² > ``ratio``) for 1 or 2 ``degrees`` of freedom, in closed form."""
    return math.erfc(math.sqrt(ratio / 2.0)) if degrees == 1 else math.exp(-ratio / 2.0)


def binomial_cdf(count: int, observations: int, probability: float) -> float:
    """Return P(X ≤ ``count``) of that many trials; ``probability`` lies inside (0, 1)."""
    hit, miss = math.log(probability), math.log1p(-probability)
    terms = (
        math.lgamma(observations + 1)
        - math.lgamma(k + 1)
        - math.lgamma(observations - k + 1)
        + k * hit
        + (observations - k) * miss
        for k in range(count + 1)
    )
    return min(1.0, math.fsum(math.exp(term) for term in terms))


def zone(exceptions: int, observations: int, confidence: float) -> str:
    """Return the colour of the traffic light: green, yellow or red.

    It looks at P(X ≤ ``exceptions``), so a few sessions without any are yellow (1 to 5 at 99 %).
    """
    # Some lie on a boundary, such as the first session at 95 %: the last digits must not decide.
    cumulative = round(binomial_cdf(exceptions, observations, 1.0 - confidence), 12)
    if cumulative <= GREEN:
        return "green"
    return "yellow" if cumulative <= YELLOW else "red"


class Backtest:
    """What the sessions so far say of one method's forecasts at one confidence."""

    def __init__(self, confidence: float) -> None:
        self._confidence = confidence
        self._observations = 0
        self._exceptions = 0
        self._pairs = [0, 0, 0, 0]
        """Neighbouring sessions: N00, N01, N10, N11."""
        self._recent: deque[int] = deque(maxlen=WINDOW)
        """1 for an exception, oldest first; the last is the session before the next."""
        self._shortfall = 0.0
        """The sum of rₜIₜ / ESₜ over the sessions that have an ES to be measured by."""
        self._measured = 0

    def update(self, realised_return: float, var: float, es: float) -> None:
        """Count one session: its simple return, and the VaR and ES forecast for it before.

        Raises ValueError for NaN or infinity.
        """
        if not math.isfinite(realised_return + var + es):
            raise ValueError(f"cannot backtest {realised_return} against VaR {var} and ES {es}")
        exception = int(is_exception(realised_return, var))
        if self._recent:
            self._pairs[2 * self._recent[-1] + exception] += 1
        self._recent.append(exception)
        self._observations += 1
        self._exceptions += exception
        if es >= MIN_ES:
            self._measured += 1
            self._shortfall += exception * realised_return / es

    def record(self, scope: str, method: str, ts_ns: int) -> dict[str, Any]:
        """Return a ``backtest`` record as of ``ts_ns``.

        Ratios are 0 with p = 1, and Z₂ is 0, as long as there is nothing to test.
        """
        kupiec = kupiec_lr(self._exceptions, self._observations, self._confidence)
        independence = christoffersen_lr(*self._pairs)
        return {
            "id": f"{scope}|{method}|{self._confidence!r}|{ts_ns}",
            "ts_ns": ts_ns,
            "scope": scope,
            "method": method,
            "confidence": self._confidence,
            "observations": self._observations,
            "exceptions": self._exceptions,
            "kupiec_lr": kupiec,
            "kupiec_p": chi2_p(kupiec, 1),
            "christoffersen_lr": independence,
            "christoffersen_p": chi2_p(independence, 1),
            "conditional_lr": kupiec + independence,
            "zone": zone(sum(self._recent), len(self._recent), self._confidence),
            "conditional_p": chi2_p(kupiec + independence, 2),
            "acerbi_szekely": self._z2(),
        }

    def _z2(self) -> float:
        if self._measured == 0:
            return 0.0
        return 1.0 + self._shortfall / (self._measured * (1.0 - self._confidence))

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {
            "exceptions": self._exceptions,
            "measured": self._measured,
            "observations": self._observations,
            "pairs": tuple(self._pairs),
            "recent": bytes(self._recent),
            "shortfall": self._shortfall,
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over the state of a snapshot, which is one of the same confidence."""
        self._exceptions = parts["exceptions"]
        self._measured = parts["measured"]
        self._observations = parts["observations"]
        self._pairs = list(parts["pairs"])
        self._recent = deque(parts["recent"], maxlen=WINDOW)
        self._shortfall = parts["shortfall"]
