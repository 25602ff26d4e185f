"""One account: its positions, its open orders, and what it has sent."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from operators.market.controls.limits import Figure, Limits
from operators.market.controls.order_ids import OrderIds
from operators.market.controls.orders import Fill, Order
from operators.market.controls.states import Standing


@dataclass(slots=True)
class OpenOrder:
    """An order that was accepted; ``units`` are not filled yet."""

    symbol: str
    side: int
    units: int


class Account:
    """Everything about one account; quantities are whole units, so that no sum ever drifts."""

    def __init__(self, order_ids: int) -> None:
        self.standing = Standing()
        self.limits: Limits | None = None
        """None: those of the settings, or of the last event for all accounts."""
        self.limits_source: str | None = None
        self.positions: dict[str, int] = {}
        self.open: dict[str, OpenOrder] = {}
        self.peak: float | None = None
        """The most that its portfolio was worth so far, in the money of its last close ..."""
        self.equity: float | None = None
        """... and what it was worth then."""
        self.var: tuple[Figure, float] | None = None
        """The last VaR of its portfolio that its limits named."""
        self.usage_told = False
        """Whether nothing has changed what it uses of its limits since that was told."""
        self.ids = OrderIds(order_ids)
        self.fill_ids = OrderIds(order_ids)
        self._open_units: dict[tuple[str, int], int] = {}
        self._sent_ns: deque[int] = deque()

    def position(self, symbol: str) -> int:
        """Return the units held, negative where short."""
        return self.positions.get(symbol, 0)

    def open_units(self, symbol: str, side: int) -> int:
        """Return the units of all open orders of one side of a symbol."""
        return self._open_units.get((symbol, side), 0)

    def sent_within(self, window_ns: int, now_ns: int) -> int:
        """Return how many orders counted in the last ``window_ns``."""
        while self._sent_ns and self._sent_ns[0] <= now_ns - window_ns:
            self._sent_ns.popleft()
        return len(self._sent_ns)

    def has_used(self, order_id: str) -> bool:
        """Return whether an order of this id is open, or was among the last to be remembered."""
        return order_id in self.ids or order_id in self.open

    def count(self, now_ns: int) -> None:
        """Count an order for the rate."""
        self._sent_ns.append(now_ns)

    def largest(self) -> tuple[str | None, int]:
        """Return the symbol and the units that are held where all open orders of a side fill.

        Of all symbols the largest, long or short; the units are not negative.
        """
        symbols = self.positions.keys() | {symbol for symbol, _ in self._open_units}
        largest = max(((self._reached(symbol), symbol) for symbol in symbols), default=None)
        return (largest[1], largest[0]) if largest else (None, 0)

    @property
    def drawdown(self) -> float | None:
        """Return how far its portfolio is below its peak (fraction); None where nobody told."""
        if self.peak is None or self.equity is None:
            return None
        return (self.peak - self.equity) / self.peak if self.peak > 0.0 else 0.0

    def var_of(self, limits: Limits) -> float | None:
        """Return the last VaR of its portfolio that these limits name; None where there is none."""
        return self.var[1] if self.var and self.var[0] == limits.figure else None

    def submit(self, order: Order) -> None:
        """Open an order."""
        self.usage_told = False
        self.open[order.order_id] = OpenOrder(order.symbol, order.side, order.units)
        self._add_open(order.symbol, order.side, order.units)

    def cancel(self, order_id: str) -> str | None:
        """Close an order; return its symbol, or None where there is no such open order."""
        order = self.open.pop(order_id, None)
        if order is None:
            return None
        self.usage_told = False
        self._add_open(order.symbol, order.side, -order.units)
        return order.symbol

    def is_new(self, fill: Fill) -> bool:
        """Return whether a fill of this id did not come before; note that it has."""
        if fill.fill_id is None:
            return True
        if fill.fill_id in self.fill_ids:
            return False
        self.fill_ids.add(fill.fill_id)
        return True

    def fill(self, fill: Fill) -> bool:
        """Move the position, and take the units off their order; return whether it was open.

        A fill is a fact whatever it belongs to; one of more units than were open closes the order.
        """
        self.usage_told = False
        held = self.position(fill.symbol) + fill.side * fill.units
        if held:
            self.positions[fill.symbol] = held
        else:
            self.positions.pop(fill.symbol, None)
        order = self.open.get(fill.order_id)
        if order is None or (order.symbol, order.side) != (fill.symbol, fill.side):
            return False
        filled = min(fill.units, order.units)
        order.units -= filled
        self._add_open(order.symbol, order.side, -filled)
        if order.units == 0:
            del self.open[fill.order_id]
        return True

    def forget_peak(self) -> None:
        """Begin anew with the drawdown of its portfolio."""
        self.peak = self.equity = None
        self.usage_told = False

    def go_by(self, limits: Limits) -> None:
        """Note that its limits are others now; a VaR that they do not name will be old one day."""
        self.usage_told = False
        if limits.var_limit is None or self.var_of(limits) is None:
            self.var = None

    def describe(self) -> dict[str, Any]:
        """Return what people want to know of it; quantities in units (operators' fields)."""
        return {
            "standing": self.standing.snapshot(),
            "positions": dict(self.positions),
            "open": {i: [o.symbol, o.side, o.units] for i, o in self.open.items()},
            "limits": self.limits.snapshot() if self.limits else None,
            "peak": self.peak,
            "drawdown": self.drawdown,
            "var": self.var[1] if self.var else None,
        }

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the account as plain values."""
        return {
            "standing": self.standing.snapshot(),
            "limits": self.limits.snapshot() if self.limits else None,
            "limits_source": self.limits_source,
            "positions": dict(self.positions),
            "open": [(i, o.symbol, o.side, o.units) for i, o in self.open.items()],
            "peak": self.peak,
            "equity": self.equity,
            "var": (tuple(self.var[0]), self.var[1]) if self.var else None,
            "usage_told": self.usage_told,
            "sent_ns": list(self._sent_ns),
            "ids": self.ids.snapshot(),
            "fill_ids": self.fill_ids.snapshot(),
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's account."""
        self.standing.restore(parts["standing"])
        self.limits = Limits(**parts["limits"]) if parts["limits"] else None
        self.limits_source = parts["limits_source"]
        self.positions = dict(parts["positions"])
        self.open = {}
        self._open_units = {}
        for order_id, symbol, side, units in parts["open"]:
            self.open[order_id] = OpenOrder(symbol, side, units)
            self._add_open(symbol, side, units)
        self.peak = parts["peak"]
        self.equity = parts.get("equity")  # at first, the peak was that of the value
        self.var = _var_of(parts.get("var"))
        self.usage_told = parts.get("usage_told", False)
        self._sent_ns = deque(parts["sent_ns"])
        self.ids.restore(parts["ids"])
        self.fill_ids.restore(parts["fill_ids"])

    def _reached(self, symbol: str) -> int:
        held = self.position(symbol)
        return max(held + self.open_units(symbol, 1), self.open_units(symbol, -1) - held)

    def _add_open(self, symbol: str, side: int, units: int) -> None:
        total = self.open_units(symbol, side) + units
        if total:
            self._open_units[symbol, side] = total
        else:
            self._open_units.pop((symbol, side), None)


def _var_of(told: Any) -> tuple[Figure, float] | None:
    return (Figure(*told[0]), told[1]) if told else None
