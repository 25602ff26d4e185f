"""The records of the trading system."""

from __future__ import annotations

from operators.market.controls.entries import Emitted, Entry
from operators.market.controls.fields import UNITS
from operators.market.controls.quotes import Quoted
from operators.market.controls.reasons import Reason
from operators.market.controls.states import Hold
from operators.market.controls.usage import Usage
from state.records import Coordinates


def where(coordinates: Coordinates) -> str:
    """Return the place of a message: ``topic/partition/offset``."""
    return f"{coordinates.topic}/{coordinates.partition}/{coordinates.offset}"


def decision(
    entry: Entry,
    account: str | None,
    order_id: str,
    reason: Reason,
    hold: Hold,
    quoted: Quoted | None = None,
    units: int | None = None,
    limits_source: str | None = None,
) -> Emitted:
    """Return one record of ``decisions``, with the coordinates of all that it was made from.

    An order is refused where there is a reason; cancels and fills never are. ``quoted`` and the
    position in ``units`` are those of the symbol, None where it is not known. A source is None
    where no record was used.
    """
    kind = entry.body["type"]
    refused = kind == "order" and reason is not Reason.NONE
    record = {
        "id": str(entry.source),
        "ts_ns": entry.ts_ns,
        "account": account,
        "order_id": order_id,
        "kind": kind,
        "decision": "reject" if refused else "accept",
        "reason": reason.name,
        "code": reason.code,
        "state": hold.state.name,
        "state_source": hold.source,
        "mark": quoted.mark if quoted else None,
        "mark_source": quoted.mark_source if quoted else None,
        "band_source": quoted.band_source if quoted else None,
        "limits_source": limits_source,
        "position": None if units is None else units / UNITS,
        "sequenced": where(entry.coordinates),
    }
    return Emitted("decisions", f"{account or ''}|{order_id}", record)


def state(entry: Entry, account: str, event: str, now: Hold, about: Hold) -> Emitted:
    """Return one record of ``state``.

    ``now`` is the state in force; ``about`` is the hold that the event speaks of: for a heartbeat
    the one in force, else the one that began or ended, with the source of what made it so.
    """
    cause = about.cause.value if about.cause else None
    record = {
        "id": f"{entry.source}|{account}|{cause or event}",
        "ts_ns": entry.ts_ns,
        "account": account,
        "state": now.state.name,
        "event": event,
        "cause": cause,
        "reason": about.reason,
        "source": about.source,
        "sequenced": where(entry.coordinates),
    }
    return Emitted("state", account, record)


def limit(entry: Entry, account: str, usage: Usage, source: str | None) -> Emitted:
    """Return one record of ``limits``; ``source`` is the event that set them (None: settings)."""
    record = {
        "id": f"{entry.source}|{account}|{usage.name}",
        "ts_ns": entry.ts_ns,
        "account": account,
        "name": usage.name,
        "used": usage.used,
        "most": usage.most,
        "share": usage.share,
        "symbol": usage.symbol,
        "source": source,
        "sequenced": where(entry.coordinates),
    }
    return Emitted("limits", f"{account}|{usage.name}", record)
