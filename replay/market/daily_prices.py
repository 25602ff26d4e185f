"""Daily closing prices into a recording of ``market.closes``, with a portfolio to hold them.

Each day of the table becomes one ``closes`` event at the session's close.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from connectors.market.events import event_of
from replay.heartbeats import heartbeat
from replay.market.close import Close
from replay.market.holding import Holding
from replay.market.price_table import PriceTable
from replay.message import Message
from replay.writer import GROUP_ROWS, RecordingWriter, rows_content
from state.clock import DAY_NS
from state.errors import BadRecord, Misuse
from state.outputs import to_json

CLOSES, PORTFOLIOS = "market.closes", "market.portfolios"


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
            event = {
                "type": "closes",
                "ts_ns": last_ns,
                "session": day.date.isoformat(),
                "prices": day.prices,
            }
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
