"""Drives the controls by hand: entries get their coordinates in turn, and a clock of the test's."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

from operators.market.controls.controls import Controls
from operators.market.controls.entries import Emitted, Entry
from operators.market.controls.limits import ControlSettings, Limits
from state.clock import NS
from state.records import Coordinates

START = 1_700_000_000 * NS
WIDE = Limits(
    max_quantity=1e9,
    max_notional=1e12,
    max_position=1e9,
    max_open_orders=1_000_000,
    max_messages=1_000_000,
    collar_percent=50.0,
)
"""Limits that no test meets by accident."""


class Stage:
    """The controls, the time, and how many messages each topic has had."""

    def __init__(self, settings: ControlSettings | None = None) -> None:
        self.settings = settings or ControlSettings(limits=WIDE)
        self.controls = Controls(self.settings)
        self.now_ns = START
        self.offsets: dict[str, int] = {}
        self.values: dict[str, float] = {}
        self.used: dict[tuple[str, str], dict[str, Any]] = {}
        """The limits that the last beat told, by account and name."""

    def put(self, topic: str, generation: int = 0, /, **body: Any) -> list[Emitted]:
        """Apply the next message of a topic."""
        offset = self.offsets.get(topic, 0)
        self.offsets[topic] = offset + 1
        sequenced = sum(self.offsets.values()) - 1
        return self.controls.apply(
            Entry(
                Coordinates("market.sequenced", 0, sequenced),
                Coordinates(topic, 0, offset),
                self.now_ns,
                topic,
                body,
                generation,
            )
        )

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now_ns += int(seconds * NS)

    def quote(
        self,
        bid: float | None = 99.0,
        ask: float | None = 101.0,
        symbol: str = "X",
        *,
        age: float = 0.0,
        generation: int = 0,
    ) -> None:
        """Tell the national best bid and offer of ``age`` seconds ago, by default around 100."""
        told = {"symbol": symbol, "ts_ns": self.now_ns - int(age * NS), "bid": bid, "ask": ask}
        assert self.put("market.nbbo", generation, **told) == []

    def order(self, order_id: str, **fields: Any) -> dict[str, Any]:
        """Send an order: by default account A buys one X at 100; return the decision."""
        body = {"account": "A", "symbol": "X", "side": "buy", "quantity": 1, "price": 100.0}
        return self._decision("order", order_id, body | fields)

    def cancel(self, order_id: str, account: str = "A") -> dict[str, Any]:
        """Cancel an order; return the decision."""
        return self._decision("cancel", order_id, {"account": account})

    def fill(self, order_id: str, **fields: Any) -> dict[str, Any]:
        """Report a fill of the default order; return the decision."""
        body = {"account": "A", "symbol": "X", "side": "buy", "quantity": 1, "price": 100.0}
        return self._decision("fill", order_id, body | fields)

    def control(self, kind: str, account: str = "A", **fields: Any) -> list[dict[str, Any]]:
        """Send a control event; return the state records."""
        return self._states("market.control", type=kind, ts_ns=1, account=account, **fields)

    def beat(self) -> dict[str, str]:
        """Let the timer beat; return the state of each account."""
        emitted = self.put("clock", type="clock", ts_ns=self.now_ns)
        told = [each.record for each in emitted if each.output == "state"]
        assert all(record["event"] == "heartbeat" for record in told)
        limits = [each.record for each in emitted if each.output == "limits"]
        self.used = {(record["account"], record["name"]): record for record in limits}
        assert len(emitted) == len(told) + len(limits)
        return {record["account"]: record["state"] for record in told}

    def value(self, value: float, portfolio: str = "A") -> list[dict[str, Any]]:
        """Tell what a portfolio is worth, all of it earned; return the state records."""
        pnl = value - self.values.get(portfolio, value)
        self.values[portfolio] = value
        return self.earned(pnl, value, portfolio)

    def earned(self, pnl: float, equity: float, portfolio: str = "A") -> list[dict[str, Any]]:
        """Tell what a portfolio has earned and is worth; return the state records."""
        scope = f"portfolio:{portfolio}"
        return self._states("market.pnl", ts_ns=1, scope=scope, pnl=pnl, equity=equity)

    def var(self, var: float, **fields: Any) -> list[dict[str, Any]]:
        """Tell A's VaR as its limits name it; return the state records."""
        body = {
            "scope": "portfolio:A",
            "method": "historical",
            "interval": "session",
            "confidence": 0.99,
            "horizon": 1,
            "valid": True,
            "var": var,
        }
        return self._states("market.risk", ts_ns=1, **(body | fields))

    def _decision(self, kind: str, order_id: str, body: dict[str, Any]) -> dict[str, Any]:
        (emitted,) = self.put("market.orders", type=kind, order_id=order_id, ts_ns=1, **body)
        assert emitted.output == "decisions"
        return emitted.record

    def _states(self, topic: str, **body: Any) -> list[dict[str, Any]]:
        emitted = self.put(topic, **body)
        assert all(e.output == "state" and e.key == e.record["account"] for e in emitted)
        return [e.record for e in emitted]


def quoted(**limits: Any) -> Stage:
    """Return a stage with X at 100 and account A known."""
    made = Stage(ControlSettings(limits=replace(WIDE, **limits)))
    made.quote()
    made.order("0")
    return made


def state_of(controls: Controls) -> bytes:
    """Return all that the controls hold, to be compared."""
    return pickle.dumps(controls.snapshot())
