"""The pre-trade checks, in the order in which they are made: the first that fails decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from operators.market.controls.account import Account
from operators.market.controls.fields import UNITS
from operators.market.controls.limits import Limits
from operators.market.controls.orders import Order
from operators.market.controls.quotes import Quoted
from operators.market.controls.reasons import Reason
from operators.market.controls.states import State


@dataclass(frozen=True, slots=True)
class Situation:
    """An order and all that is looked at to judge it."""

    order: Order
    account: Account
    limits: Limits
    state: State
    quoted: Quoted | None
    now_ns: int

    @property
    def market(self) -> Quoted:
        """Return the symbol's market, for the checks behind UNKNOWN_SYMBOL."""
        assert self.quoted is not None
        return self.quoted

    @property
    def mark(self) -> float:
        """Return the symbol's mark, likewise."""
        assert self.market.mark is not None
        return self.market.mark

    @property
    def same_side(self) -> int:
        """Return the units of the order and of all open ones of its side."""
        order = self.order
        return self.account.open_units(order.symbol, order.side) + order.units

    @property
    def position(self) -> int:
        """Return the position, counted in the direction of the order."""
        return self.order.side * self.account.position(self.order.symbol)


def too_many(s: Situation) -> bool:
    """Return whether the account sends too fast."""
    sent = s.account.sent_within(s.limits.message_window_ns, s.now_ns)
    return sent >= s.limits.max_messages


def would_not_reduce(s: Situation) -> bool:
    """Return whether the order and the open ones of its side do more than close the position."""
    return s.state == State.REDUCING and s.same_side > -s.position


def over_notional(s: Situation) -> bool:
    """Return whether quantity times price, or times the mark of a market order, is too much."""
    price = s.mark if s.order.price is None else s.order.price
    return s.order.units / UNITS * price > s.limits.max_notional


def outside_collar(s: Situation) -> bool:
    """Return whether the price is too far from the mark, to either side."""
    price = s.order.price
    return price is not None and abs(price - s.mark) > s.limits.collar_percent / 100.0 * s.mark


def beyond_band(s: Situation) -> bool:
    """Return whether it would buy above the upper band or sell below the lower one."""
    price, market = s.order.price, s.market
    if price is None or market.lower is None or market.upper is None:
        return False
    return price > market.upper if s.order.side > 0 else price < market.lower


CHECKS: tuple[tuple[Reason, Callable[[Situation], bool]], ...] = (
    (Reason.MESSAGE_RATE, too_many),
    (Reason.DUPLICATE_ORDER, lambda s: s.account.has_used(s.order.order_id)),
    (Reason.ACCOUNT_HALTED, lambda s: s.state == State.HALTED),
    (Reason.ACCOUNT_REDUCING, would_not_reduce),
    (Reason.UNKNOWN_SYMBOL, lambda s: s.quoted is None),
    (Reason.STALE_DATA, lambda s: s.market.stale),
    (Reason.SYMBOL_PAUSED, lambda s: s.market.paused),
    (Reason.MAX_QUANTITY, lambda s: s.order.units / UNITS > s.limits.max_quantity),
    (Reason.MAX_NOTIONAL, over_notional),
    (Reason.PRICE_COLLAR, outside_collar),
    (Reason.PRICE_BAND, beyond_band),
    (Reason.POSITION_LIMIT, lambda s: (s.position + s.same_side) / UNITS > s.limits.max_position),
    (Reason.OPEN_ORDER_LIMIT, lambda s: len(s.account.open) >= s.limits.max_open_orders),
)


def check(situation: Situation) -> Reason:
    """Return why an order is refused, or Reason.NONE."""
    return next((reason for reason, fails in CHECKS if fails(situation)), Reason.NONE)
