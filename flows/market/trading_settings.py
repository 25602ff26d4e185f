"""Settings of the trading controls."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from flows.market.settings import Method
from flows.settings.part import Duration, Part, Timed, duration_ns, settings_hash
from operators.market.controls.limits import ControlSettings, Limits

SEQUENCED = "market.sequenced"
"""The topic, of one partition, that gives the topics of trading one order."""
OWN_TOPICS = ("market.orders", "market.control")
"""The topics that people and other systems feed; the market flow writes the others."""


class OrderLimits(Part):
    """What an account may do until a control event sets other limits."""

    max_quantity: float = 10_000.0
    """Shares of one order."""
    max_notional: float = 1_000_000.0
    """Quantity times price of one order, in currency; of a market order, times the mark."""
    max_position: float = 100_000.0
    """Shares of one symbol, all open orders filled."""
    max_open_orders: int = 1_000
    max_messages: int = 100
    """Orders within ``message_window``."""
    message_window: Duration = duration_ns("1s")  # type: ignore[assignment]  # as above
    collar_percent: float = 5.0
    """How far from the mark a price may be."""
    drawdown_limit: float | None = 0.10
    """A fraction of the portfolio's highest value, at which the breaker trips ..."""
    drawdown_resume: float = 0.05
    """... and at which it comes back."""
    drawdown_action: Literal["REDUCING", "HALTED"] = "REDUCING"
    var_limit: float | None = 0.05
    """A fraction of the portfolio's value; above it the breaker trips ..."""
    var_resume: float = 0.04
    """... and below this it comes back."""
    var_action: Literal["REDUCING", "HALTED"] = "REDUCING"
    var_method: Method = "historical"
    var_confidence: float = 0.99
    var_horizon: int = 1
    var_interval: str = "session"


class Trading(Timed):
    """The trading controls. All of it is part of the settings' hash."""

    topics: tuple[
        Literal[
            "market.orders",
            "market.control",
            "market.bands",
            "market.nbbo",
            "market.bars",
            "market.risk",
            "market.pnl",
        ],
        ...,
    ] = (
        "market.orders",
        "market.control",
        "market.bands",
        "market.nbbo",
        "market.risk",
        "market.pnl",
    )
    """What is sequenced: orders and control events, and what the controls go by."""
    limits: OrderLimits = OrderLimits()
    order_ids: int = 100_000
    """How many of an account's last order ids are known, to find duplicates."""
    stale_after: Duration = duration_ns("5s")  # type: ignore[assignment]  # as above
    """How old a symbol's market data may be ..."""
    fresh_records: int = 3
    """... and how many have to come before they count again."""
    symbol_ttl: Duration = duration_ns("7d")  # type: ignore[assignment]  # as above
    max_accounts: int = 10_000

    @model_validator(mode="after")
    def _possible(self) -> Trading:
        self.controls()
        return self

    def controls(self) -> ControlSettings:
        """Return what the controls are set to; raises ValueError where a limit cannot be."""
        limits = self.limits.model_dump()
        window_ns = limits.pop("message_window")
        return ControlSettings(
            limits=Limits(message_window_ns=window_ns, **limits),
            order_ids=self.order_ids,
            stale_after_ns=self.stale_after,
            fresh_records=self.fresh_records,
            symbol_ttl_ns=self.symbol_ttl,
            max_accounts=self.max_accounts,
        )


def trading_hash(trading: Trading) -> str:
    """Return the hash of the settings of trading: one shard decides, however many there are."""
    return settings_hash(trading, 1)
