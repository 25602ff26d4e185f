"""What the demo shows: figures read from the workers' metrics and from Redis, and how they look."""

from __future__ import annotations

import urllib.request
from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
import redis
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table

from connectors.redis.reader import RedisReader
from operators.market.records import SESSION
from state.clock import MS, NS

SIGNALS_SHOWN = 8
SYMBOLS_SHOWN = 10
LATENCY_WINDOW_S = 15.0
"""The latency percentiles are of the signals of so many last seconds."""


class Latency(NamedTuple):
    """From the time of a tick to its signal in Redis, in ms."""

    p50_ms: float
    p99_ms: float

    def __str__(self) -> str:
        return f"p50 {self.p50_ms:.1f} ms  p99 {self.p99_ms:.1f} ms"


@dataclass
class Figures:
    """One look at the running system; a latency is None where no such signal was seen yet.

    A portfolio's signals come by design later than a symbol's: their second is over once
    market.lateness has passed for all symbols.
    """

    seconds: float = 0.0
    ticks: int = 0
    ticks_per_second: float = 0.0
    lag: int = 0
    of_symbols: Latency | None = None
    of_portfolios: Latency | None = None
    signals: int = 0
    bars: list[dict[str, Any]] = field(default_factory=list)
    portfolios: list[dict[str, Any]] = field(default_factory=list)
    last_signals: list[dict[str, Any]] = field(default_factory=list)
    waiting: str = ""

    def line(self) -> str:
        """Return the figures as one line of text."""
        var = "  ".join(
            f"VaR {_scope(risk)} {risk['var']:.4%}" for risk in self.portfolios if risk["valid"]
        )
        text = (
            f"{self.seconds:5.0f} s  {self.ticks_per_second:7,.0f} ticks/s  lag {self.lag:,}  "
            f"symbols {self.of_symbols or '–'}  portfolios {self.of_portfolios or '–'}  "
            f"bars of {len(self.bars)} symbols  {self.signals:,} signals  {var}"
        )
        return f"{text}  {self.waiting}".rstrip()


class Watch:
    """Looks at a running market flow: its metrics on loopback and its Redis."""

    def __init__(self, http_port: int, redis_url: str, *, latency: bool) -> None:
        """``latency`` says that event times are the clock's, so that they can be compared."""
        self._address = f"http://127.0.0.1:{http_port}"
        self._reader = RedisReader(SecretStr(redis_url), "market", 1)
        self._latency = latency
        self._after = ""
        self._latencies: dict[str, deque[tuple[float, float]]] = {}
        self._signals: deque[dict[str, Any]] = deque(maxlen=SIGNALS_SHOWN)
        self._count = 0
        self._before = (0.0, 0)

    def look(self, seconds: float) -> Figures:
        """Return what is there ``seconds`` after the start; what does not answer is left out."""
        figures = Figures(seconds=seconds)
        try:
            self._measure(figures)
            self._read(figures)
        except OSError:
            figures.waiting = "the flow is starting"
        except redis.RedisError as error:
            figures.waiting = f"Redis: {type(error).__name__}"
        return figures

    def _measure(self, figures: Figures) -> None:
        with urllib.request.urlopen(f"{self._address}/metrics", timeout=2) as answer:  # noqa: S310  # loopback
            text = answer.read().decode()
        for family in text_string_to_metric_families(text):
            total = sum(s.value for s in family.samples if not s.name.endswith("_created"))
            if family.name == "headrace_messages":
                figures.ticks = int(total)
            elif family.name == "headrace_consumer_lag":
                figures.lag = int(total)
            elif family.name == "headrace_sink_waiting" and total:
                figures.waiting = "waiting for a sink"
        before_seconds, before_ticks = self._before
        passed = figures.seconds - before_seconds
        if passed > 0:
            figures.ticks_per_second = max(0, figures.ticks - before_ticks) / passed
        self._before = (figures.seconds, figures.ticks)

    def _read(self, figures: Figures) -> None:
        bars = map(orjson.loads, self._reader.latest("bars").values())
        shortest = [bar for bar in bars if bar["interval"] == "1s"]
        figures.bars = sorted(shortest, key=lambda bar: str(bar["symbol"]))
        risks = map(orjson.loads, self._reader.latest("risk").values())
        figures.portfolios = [
            risk
            for risk in risks
            if risk["scope"].startswith("portfolio:") and risk["interval"] != SESSION
        ]
        for entry in self._reader.entries("signals", self._after):
            self._after = entry.stream_id
            signal = orjson.loads(entry.value)
            self._count += 1
            self._signals.append(signal)
            if self._latency:
                # Redis names an entry by the millisecond at which it became visible.
                written_ms = int(entry.stream_id.partition("-")[0])
                latency_ms = max(0.0, written_ms - signal["ts_ns"] / MS)
                kind = signal["scope"].partition(":")[0]
                self._latencies.setdefault(kind, deque()).append((figures.seconds, latency_ms))
        figures.signals = self._count
        figures.last_signals = list(self._signals)[::-1]
        figures.of_symbols = self._latency_of("symbol", figures.seconds)
        figures.of_portfolios = self._latency_of("portfolio", figures.seconds)

    def _latency_of(self, kind: str, seconds: float) -> Latency | None:
        """Return that of the last seconds' signals of symbols, or of portfolios."""
        found = self._latencies.get(kind, deque())
        while found and found[0][0] < seconds - LATENCY_WINDOW_S:
            found.popleft()
        if not found:
            return None
        ordered = sorted(latency_ms for _, latency_ms in found)
        return Latency(_percentile(ordered, 0.50), _percentile(ordered, 0.99))


def render(figures: Figures, servers: str) -> RenderableType:
    """Return the figures for a terminal."""
    head = Table.grid(padding=(0, 3))
    head.add_row(
        f"[bold]{figures.ticks_per_second:,.0f}[/] ticks/s",
        f"lag [bold]{figures.lag:,}[/]",
        f"[bold]{figures.ticks:,}[/] ticks  [bold]{figures.signals:,}[/] signals",
        f"{figures.seconds:.0f} s  [yellow]{figures.waiting}[/]",
    )
    latency = Table.grid(padding=(0, 3))
    latency.add_row(
        "tick to signal",
        f"of symbols [bold]{figures.of_symbols or '–'}[/]",
        f"of portfolios [bold]{figures.of_portfolios or '–'}[/] (with the lateness of 1 s)",
    )
    bars = Table(
        "symbol", "second", "open", "high", "low", "close", "volume", "trades", title="bars"
    )
    for bar in figures.bars[:SYMBOLS_SHOWN]:
        prices = [f"{bar[name]:,.2f}" for name in ("open", "high", "low", "close")]
        second = _clock(bar["start_ns"])
        bars.add_row(bar["symbol"], second, *prices, f"{bar['volume']:,.0f}", str(bar["trades"]))
    risk = Table("portfolio", "confidence", "VaR", "ES", title="risk of the next bar")
    for row in figures.portfolios:
        known = row["valid"]
        figure = [f"{row[name]:.4%}" if known else "warming up" for name in ("var", "es")]
        risk.add_row(_scope(row), f"{row['confidence']:.1%}", *figure)
    signals = Table("time", "scope", "kind", "return", "threshold", title="last signals")
    for row in figures.last_signals:
        values = [f"{row[name]:+.4%}" for name in ("value", "threshold")]
        signals.add_row(_clock(row["ts_ns"]), _scope(row), row["kind"], *values)
    return Group(
        Panel(Group(head, latency), title=f"headrace market on {servers}"), bars, risk, signals
    )


def _percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _scope(row: dict[str, Any]) -> str:
    return str(row["scope"].partition(":")[2])


def _clock(ns: int) -> str:
    seconds = ns // NS % 86_400
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
