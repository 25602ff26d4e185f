"""How much of each limit an account uses."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from operators.market.controls.account import Account
from operators.market.controls.fields import UNITS
from operators.market.controls.limits import Limits


@dataclass(frozen=True, slots=True)
class Usage:
    """One limit: what is used of it and the most that may be, in the limit's unit.

    ``used`` is None where nothing is known yet, ``most`` where the limit is off. ``symbol`` is the
    one whose position, with the open orders of one side filled, is the largest.
    """

    name: str
    used: float | None
    most: float | None
    symbol: str | None = None

    @property
    def share(self) -> float | None:
        """Return what is used as a fraction of the most; None where there is none."""
        if self.used is None or not self.most:
            return None
        share = self.used / self.most
        return share if isfinite(share) else None


def usage(account: Account, limits: Limits) -> list[Usage]:
    """Return the limits that fill up over time; the others judge each order by itself."""
    symbol, units = account.largest()
    return [
        Usage("max_position", units / UNITS, limits.max_position, symbol),
        Usage("max_open_orders", float(len(account.open)), float(limits.max_open_orders)),
        Usage("drawdown_limit", account.drawdown, limits.drawdown_limit),
        Usage("var_limit", account.var_of(limits), limits.var_limit),
    ]
