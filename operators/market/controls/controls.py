"""Trading controls: every order is accepted or refused, as a function of all entries so far.

An entry that cannot be used raises a BadRecord and leaves everything as it was; an order that can
be answered is refused as MALFORMED instead. What is remembered is bounded: order ids, accounts and
symbols by the settings, open orders and the times of the last ones by each account's limits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from operators.market.controls import fields, records
from operators.market.controls.accounts import Accounts
from operators.market.controls.desk import Desk
from operators.market.controls.entries import Emitted, Entry
from operators.market.controls.limits import ControlSettings
from operators.market.controls.quotes import BarEnd, Quotes, full_bar
from operators.market.controls.supervision import Supervision
from state.errors import OutOfRange

Handler = Callable[[Entry], list[Emitted]]
Hear = Callable[[Entry, str], None]


class Controls:
    """The accounts, the market as they see it, and what the next entry makes of both.

    Entries by topic and type: ``market.orders`` (order, cancel, fill), ``market.control`` (state,
    kill, resume, limits, clock) and ``clock`` (clock); and without types ``market.nbbo`` and
    ``market.bars`` (marks), ``market.bands``, ``market.pnl`` and ``market.risk`` (breakers).
    """

    def __init__(self, settings: ControlSettings, end_of: BarEnd = full_bar) -> None:
        self._accounts = accounts = Accounts(settings)
        self._quotes = quotes = Quotes(settings, end_of)
        self._supervision = supervision = Supervision(accounts)
        desk = Desk(accounts, quotes)
        self._topics: dict[str, Handler] = {
            "market.orders": _by_type(
                {"order": desk.order, "cancel": desk.cancel, "fill": desk.fill}
            ),
            "market.control": _by_type(
                {
                    "state": supervision.state,
                    "kill": supervision.kill,
                    "resume": supervision.resume,
                    "limits": supervision.limits,
                    "clock": self._clock,
                }
            ),
            "clock": _by_type({"clock": self._clock}),
            "market.nbbo": _heard(quotes.hear_nbbo),
            "market.bars": _heard(quotes.hear_bar),
            "market.bands": _heard(quotes.hear_bands),
            "market.pnl": self._if_in_use(supervision.pnl),
            "market.risk": self._if_in_use(supervision.risk),
        }

    def apply(self, entry: Entry) -> list[Emitted]:
        """Take the next entry; return the records that come of it, in their order.

        Raises BadRecord where it cannot be used; the state is then what it was.
        """
        handler = self._topics.get(entry.topic)
        if handler is None:
            raise OutOfRange(f"the controls do not read {entry.topic}")
        return handler(entry)

    def describe(self, account: str) -> dict[str, Any]:
        """Return an account as plain values; {} where there is none of this name."""
        found = self._accounts.find(account)
        return {} if found is None else found.describe()

    def snapshot(self) -> dict[str, Any]:
        """Return the whole state as plain values."""
        return {"accounts": self._accounts.snapshot(), "quotes": self._quotes.snapshot()}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._accounts.restore(parts["accounts"])
        self._quotes.restore(parts["quotes"])

    def _clock(self, entry: Entry) -> list[Emitted]:
        """Let time pass; the clock also tells which generation of market counts from here on."""
        generation = fields.generation_of(entry.body) if "generation" in entry.body else None
        beats = self._supervision.heartbeat(entry)
        if generation is not None:
            self._quotes.use(generation)
        self._quotes.pass_time(entry.ts_ns)
        return beats

    def _if_in_use(self, handler: Handler) -> Handler:
        """Return a handler that passes over what other generations of the market flow say."""

        def handle(entry: Entry) -> list[Emitted]:
            return handler(entry) if self._quotes.in_use(entry) else []

        return handle


def _by_type(handlers: Mapping[str, Handler]) -> Handler:
    def handle(entry: Entry) -> list[Emitted]:
        return fields.choice_of(entry.body, "type", handlers)(entry)

    return handle


def _heard(hear: Hear) -> Handler:
    def handle(entry: Entry) -> list[Emitted]:
        hear(entry, records.where(entry.source))
        return []

    return handle
