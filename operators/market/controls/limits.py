"""The limits of an account, and the settings of the controls."""

from __future__ import annotations

import dataclasses
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from operators.market.controls import fields
from state.clock import NS
from state.errors import OutOfRange, WrongType

ACTIONS = ("REDUCING", "HALTED")
"""What a breaker may do."""


class Figure(NamedTuple):
    """Which figure of risk: method, confidence, horizon and interval."""

    method: str
    confidence: float
    horizon: float
    interval: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What an account may do. Raises ValueError where a limit cannot be.

    Quantities and positions are in shares and of one symbol, ``max_notional`` in currency and of
    one order. A market order's notional is taken at the mark. ``collar_percent`` bounds how far
    from the mark an order's price may be, to either side. At most ``max_messages`` orders count
    within ``message_window_ns``.

    The drawdown breaker trips where the portfolio has lost ``drawdown_limit`` (fraction) or more
    since its peak and comes back at ``drawdown_resume`` or less; the VaR breaker trips where the
    named figure (fraction of the portfolio's value) is above ``var_limit`` and comes back below
    ``var_resume``. A limit of None turns the breaker off, and forgets the peak.
    """

    max_quantity: float = 10_000.0
    max_notional: float = 1_000_000.0
    max_position: float = 100_000.0
    max_open_orders: int = 1_000
    max_messages: int = 100
    message_window_ns: int = NS
    collar_percent: float = 5.0
    drawdown_limit: float | None = 0.10
    drawdown_resume: float = 0.05
    drawdown_action: str = "REDUCING"
    var_limit: float | None = 0.05
    var_resume: float = 0.04
    var_action: str = "REDUCING"
    var_method: str = "historical"
    var_confidence: float = 0.99
    var_horizon: int = 1
    var_interval: str = "session"

    def __post_init__(self) -> None:
        for name in ("max_quantity", "max_notional", "max_position", "collar_percent"):
            if not 0.0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be a number from 0 on")
        for name in ("max_open_orders", "max_messages", "message_window_ns", "var_horizon"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more")
        if not 0.0 < self.var_confidence < 1.0:
            raise ValueError("var_confidence must lie between 0 and 1")
        for kind in ("drawdown", "var"):
            limit, resume = getattr(self, f"{kind}_limit"), getattr(self, f"{kind}_resume")
            if limit is not None and not 0.0 <= resume < limit < float("inf"):
                raise ValueError(f"{kind}_resume must lie below {kind}_limit, and both from 0 on")
            if getattr(self, f"{kind}_action") not in ACTIONS:
                raise ValueError(f"{kind}_action must be one of {', '.join(ACTIONS)}")

    @property
    def figure(self) -> Figure:
        """Return the figure that the VaR breaker goes by."""
        return Figure(self.var_method, self.var_confidence, self.var_horizon, self.var_interval)

    def changed(self, given: dict[str, Any]) -> Limits:
        """Return these limits with those of an event in their place; what it leaves out stays.

        Raises WrongType where a limit is unknown or of another type, OutOfRange where it cannot be.
        """
        values: dict[str, Any] = {name: _typed(name, value) for name, value in given.items()}
        try:
            return replace(self, **values)
        except ValueError as error:
            raise OutOfRange(str(error)) from error

    def snapshot(self) -> dict[str, Any]:
        """Return the limits as plain values, with which `Limits` can be called."""
        return asdict(self)


_TYPES = {field.name: str(field.type) for field in dataclasses.fields(Limits)}


def _typed(name: str, value: object) -> object:
    """Return a limit's value if it is of the limit's type; a whole number may stand for a real."""
    declared = _TYPES.get(name)
    if declared is None:
        raise WrongType(f"{name!r} is no limit")
    if value is None and "None" in declared:
        return None
    if "float" in declared:
        return fields.number_of({name: value}, name)
    if type(value).__name__ != declared:
        raise WrongType(f"{name!r} must be {declared}")
    return value


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """What the controls are set to; all of it decides about outputs. Times in ns.

    ``limits`` hold for an account until an event gives it others. To find duplicates, the ids of an
    account's open orders are remembered, and its last ``order_ids`` (or a hundredth more). Market
    data older than ``stale_after_ns`` are stale, until ``fresh_records`` of them have come again; a
    symbol of which nothing was heard for ``symbol_ttl_ns`` is forgotten. There are at most
    ``max_accounts``.
    """

    limits: Limits = Limits()
    order_ids: int = 100_000
    stale_after_ns: int = 5 * NS
    fresh_records: int = 3
    symbol_ttl_ns: int = 7 * 86_400 * NS
    max_accounts: int = 10_000

    def __post_init__(self) -> None:
        for name in ("order_ids", "stale_after_ns", "fresh_records", "max_accounts"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more")
        if self.symbol_ttl_ns <= self.stale_after_ns:
            raise ValueError("symbol_ttl_ns must exceed stale_after_ns")
