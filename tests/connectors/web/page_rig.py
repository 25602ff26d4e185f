"""The gateway with its page over Valkey alone, and records of market that a test writes itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any

from benchmarks.web.writer import Writer
from flows.feed import gateway
from flows.settings.settings import Settings
from state.clock import NS, now_ns
from tests.connectors.postgres.writing import block, partition
from tests.files import audit_file
from tests.waiting import PATIENCE_S


@contextmanager
def page_of(redis_url: str, dsn: str | None = None, keys: str = "", **feed: Any) -> Iterator[str]:
    """Serve as ``headrace feed`` does, in a thread; yields the page's address.

    ``keys`` is the text of a key file.
    """
    own = {"port": 0, "workers": (), "systems": ("market",), "audit": audit_file()}
    parts: dict[str, Any] = {
        "redis": {"url": redis_url},
        "sealing": {"keys": keys},
        "feed": own | feed,
    }
    if dsn is not None:
        parts["postgres"] = {"dsn": dsn}
    settings = Settings.model_validate(parts)
    listening: Future[str] = Future()
    loop = asyncio.new_event_loop()
    task = loop.create_task(gateway.serve(settings, listening.set_result))

    def run() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(task)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield listening.result(PATIENCE_S) + "/"
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


@contextmanager
def running(market: Market, symbols: list[str], every_s: float = 0.3) -> Iterator[None]:
    """Write a second's records of the symbols again and again, as a flow that goes on."""
    stop = threading.Event()

    def write() -> None:
        while not stop.wait(every_s):
            market.second(symbols)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class Market:
    """Writes what the market flow would: bars of a second, forecasts, quotes, as of now."""

    def __init__(self, redis_url: str, system: str = "market") -> None:
        self._writer = Writer(redis_url, system=system)
        self.write = self._writer.write

    def second(self, symbols: list[str], at_ns: int | None = None, price: float = 100.0) -> None:
        """Write a bar, a forecast of 1 % and a quote of each symbol, for the second before now."""
        end_ns = (now_ns() if at_ns is None else at_ns) // NS * NS
        self._writer.write(
            "bars", [bar_at(s, end_ns - NS, price) for s in symbols], [f"{s}|1s" for s in symbols]
        )
        risk = [risk_at(s, end_ns) for s in symbols]
        keys = [f"{r['scope']}|ewma-normal|1s|0.99|1" for r in risk]
        self._writer.write("risk", risk, keys)
        self._writer.write("nbbo", [_quote(s, end_ns, price) for s in symbols], symbols)


def bar_at(
    symbol: str, start_ns: int, price: float = 100.0, interval: str = "1s"
) -> dict[str, Any]:
    """Return a bar, of a second where nothing else is said."""
    return {
        "id": f"{symbol}|{interval}|{start_ns}", "symbol": symbol, "interval": interval,
        "start_ns": start_ns,
        "open": price, "high": price + 0.5, "low": price - 0.5, "close": price, "vwap": price,
        "volume": 10.0, "trades": 3,
    }  # fmt: skip


def corrected(bar: dict[str, Any], version: int = 2, **changed: Any) -> dict[str, Any]:
    """Return a bar as a correction leaves it; without a trade where ``trades`` is 0."""
    prices = ("open", "high", "low", "close", "vwap")
    void: dict[str, Any] = {} if changed.get("trades", 1) else dict.fromkeys(prices)
    return bar | void | changed | {
        "id": f"{bar['id']}|{version}", "version": version,
        "corrected_ns": bar["start_ns"] + 2 * NS, "cause": "market.ticks/0/7/0",
    }  # fmt: skip


def keep(dsn: str, **outputs: list[dict[str, Any]]) -> None:
    """Write records into history: those of each output."""
    sink = partition(dsn)
    sink.write_batch([block(name, rows) for name, rows in outputs.items() if rows])
    sink.snapshot()
    sink.close()


def risk_at(symbol: str, end_ns: int, interval: str = "1s") -> dict[str, Any]:
    """Return a forecast of 1 % that was made of the bar which ends then."""
    return {
        "id": f"symbol:{symbol}|ewma-normal|{interval}|0.99|1|{end_ns}", "ts_ns": end_ns,
        "scope": f"symbol:{symbol}", "method": "ewma-normal", "interval": interval,
        "confidence": 0.99, "horizon": 1, "var": 0.01, "es": 0.012, "components": None,
        "marginal": None, "incremental": None, "valid": True,
    }  # fmt: skip


def _quote(symbol: str, end_ns: int, price: float) -> dict[str, Any]:
    return {
        "id": f"{symbol}|{end_ns - NS}", "symbol": symbol, "ts_ns": end_ns, "bid": price - 0.01,
        "bid_size": 1.0, "ask": price + 0.01, "ask_size": 1.0,
    }  # fmt: skip
