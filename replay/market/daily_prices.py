"""Daily closing prices into a recording of ``market.closes``, with a portfolio to hold them.

Each day of the table becomes one ``closes`` event at the session's close.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from connectors.market.events import event_of
from replay.heartbeats import heartbeat
from replay.market.price_table import PriceTable, csv_rows, number
from replay.message import Message
from replay.writer import GROUP_ROWS, RecordingWriter, rows_content
from state.clock import DAY_NS, NS
from state.errors import BadRecord, Misuse
from state.outputs import to_json

CLOSES, PORTFOLIOS = "market.closes", "market.portfolios"
EQUAL = "equal"
DEFAULT_CLOSE = "16:00 America/New_York"


@dataclass(frozen=True, slots=True)
class Close:
    """When sessions end: a time of day on the clock of a place."""

    at: time
    zone: ZoneInfo

    @classmethod
    def of(cls, text: str) -> Close:
        """Return what ``HH:MM AREA/CITY`` means; raises Misuse."""
        clock, _, zone = text.partition(" ")
        try:
            return cls(time.fromisoformat(clock), ZoneInfo(zone.strip()))
        except (ValueError, KeyError, OSError) as error:
            raise Misuse(f"{text!r} is no close: write it as {DEFAULT_CLOSE!r}") from error

    def ns(self, day: date) -> int:
        """Return the close of ``day``, ns since 1970 UTC."""
        local = datetime.combine(day, self.at, self.zone)
        return int(local.astimezone(UTC).timestamp()) * NS


@dataclass(frozen=True, slots=True)
class Holding:
    """The portfolio that is written beside the prices: its name, and weights by symbol."""

    name: str
    weights: dict[str, float]


def import_daily_prices(
    table: PriceTable,
    out: Path,
    close: Close,
    holding: Holding,
    advance: Callable[[int], None] = lambda count: None,
) -> int:
    """Write the closes of ``table`` and the portfolio; return how many events there were.

    The portfolio stands 1 ns before the first close. Both topics have one partition, which ends
    with a heartbeat a day after the last close. ``advance(1)`` is told each day. Raises Misuse.
    """
    days, last_ns = 0, 0
    waiting: list[Message] = []
    with RecordingWriter(out, {CLOSES: 1, PORTFOLIOS: 1}) as writer:
        for day in table.days():
            last_ns = close.ns(day.date)
            event = {"type": "closes", "ts_ns": last_ns, "prices": day.prices}
            if days == 0:
                start = _portfolio(holding, last_ns - 1)
                writer.write(PORTFOLIOS, 0, rows_content([start]))
            value = _value(event, day.where)
            waiting.append(Message(CLOSES, 0, days, last_ns, b"closes", value))
            if len(waiting) == GROUP_ROWS:
                writer.write(CLOSES, 0, rows_content(waiting))
                waiting.clear()
            days += 1
            advance(1)
        writer.write(CLOSES, 0, rows_content(waiting))
        for topic, offset in ((CLOSES, days), (PORTFOLIOS, 1)):
            end = heartbeat(topic, 0, offset, last_ns + DAY_NS)
            writer.write(topic, 0, rows_content([end]))
    return days + 1


def _portfolio(holding: Holding, ts_ns: int) -> Message:
    event = {
        "type": "portfolio",
        "portfolio": holding.name,
        "ts_ns": ts_ns,
        "weights": holding.weights,
    }
    value = _value(event, f"portfolio {holding.name!r}")
    return Message(PORTFOLIOS, 0, 0, ts_ns, holding.name.encode(), value)


def _value(event: dict[str, Any], where: str) -> bytes:
    """Return the event's JSON, which the flow will take; raises Misuse where it would not."""
    try:
        event_of(event)
    except BadRecord as error:
        raise Misuse(f"{where}: {error}") from error
    return to_json(event)


def read_holding(weights: str, name: str | None, symbols: list[str]) -> Holding:
    """Return the portfolio that ``--weights`` and ``--portfolio`` ask for.

    ``weights`` is ``equal``, which holds all symbols, or a file: JSON ``{"AAPL": 0.5}``, or CSV
    under ``symbol,weight``. The name is that of the weights unless given. Raises Misuse where the
    file cannot be used, or names what is not among ``symbols``.
    """
    if weights == EQUAL:
        return Holding(name or EQUAL, dict.fromkeys(symbols, 1.0 / len(symbols)))
    path = Path(weights)
    found = _json_weights(path) if path.suffix == ".json" else _csv_weights(path)
    if not found:
        raise Misuse(f"{path} holds no weight")
    if unknown := sorted(found.keys() - symbols):
        raise Misuse(f"{path} weights {', '.join(unknown)}, of which there are no prices")
    return Holding(name or path.stem, found)


def _json_weights(path: Path) -> dict[str, float]:
    try:
        found = orjson.loads(path.read_bytes())
    except OSError as error:
        raise Misuse(f"cannot read {path}: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise Misuse(f"{path} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise Misuse(f"{path} is no JSON object of weights by symbol")
    return {symbol: number(str(weight), f"{path}, {symbol}") for symbol, weight in found.items()}


def _csv_weights(path: Path) -> dict[str, float]:
    weights: dict[str, float] = {}
    rows = csv_rows(path)
    where, header = next(rows, (str(path), []))
    if [cell.strip() for cell in header] != ["symbol", "weight"]:
        raise Misuse(f"{where}: the header must be symbol,weight")
    for where, cells in rows:
        if len(cells) != 2:
            raise Misuse(f"{where} has {len(cells)} cells: a symbol and its weight are needed")
        symbol = cells[0].strip()
        if symbol in weights:
            raise Misuse(f"{where}: {symbol} has a weight already")
        weights[symbol] = number(cells[1], f"{where}, {symbol}")
    return weights
