"""What becomes of orders, cancels and fills.

An order that is refused for its rate leaves no trace, so that it may be sent again. Any other uses
up its id, refused or not, and counts for the rate. Cancels and fills are never refused: a cancel
takes its order out of the open ones at once, a fill of it that still comes moves the position.
"""

from __future__ import annotations

from operators.market.controls import fields, orders, records
from operators.market.controls.accounts import Accounts
from operators.market.controls.checks import Situation, check
from operators.market.controls.entries import Emitted, Entry
from operators.market.controls.quotes import Quotes
from operators.market.controls.reasons import Reason
from state.errors import BadRecord, OutOfRange


class Desk:
    """Judges orders and keeps the accounts' positions and open orders."""

    def __init__(self, accounts: Accounts, quotes: Quotes) -> None:
        self._accounts = accounts
        self._quotes = quotes

    def order(self, entry: Entry) -> list[Emitted]:
        """Accept an order or refuse it, with the reason."""
        try:
            order = orders.order_of(entry.body)
        except BadRecord:
            return [self._malformed(entry)]
        try:
            account = self._accounts.take(order.account)
        except OutOfRange:
            return [self._unseen(entry, order.account, order.order_id, Reason.UNKNOWN_ACCOUNT)]
        limits, limits_source = self._accounts.limits(account)
        hold = self._accounts.hold(order.account)
        quoted = self._quotes.of(order.symbol, entry.ts_ns)
        reason = check(Situation(order, account, limits, hold.state, quoted, entry.ts_ns))
        if reason is not Reason.MESSAGE_RATE:
            account.count(entry.ts_ns)
        if reason not in (Reason.MESSAGE_RATE, Reason.DUPLICATE_ORDER):
            account.ids.add(order.order_id)
        if reason is Reason.NONE:
            account.submit(order)
        units = account.position(order.symbol)
        return [
            records.decision(
                entry, order.account, order.order_id, reason, hold, quoted, units, limits_source
            )
        ]

    def cancel(self, entry: Entry) -> list[Emitted]:
        """Let a cancel pass."""
        cancel = orders.cancel_of(entry.body)
        account = self._accounts.find(cancel.account)
        symbol = account.cancel(cancel.order_id) if account else None
        hold = self._accounts.hold(cancel.account)
        if account is None or symbol is None:
            reason, quoted, units = Reason.UNKNOWN_ORDER, None, None
        else:
            reason, units = Reason.NONE, account.position(symbol)
            quoted = self._quotes.of(symbol, entry.ts_ns)
        return [
            records.decision(entry, cancel.account, cancel.order_id, reason, hold, quoted, units)
        ]

    def fill(self, entry: Entry) -> list[Emitted]:
        """Let a fill move the position, once where the venue names its fills."""
        fill = orders.fill_of(entry.body)
        account = self._accounts.take(fill.account)
        if not account.is_new(fill):
            reason = Reason.DUPLICATE_FILL
        else:
            reason = Reason.NONE if account.fill(fill) else Reason.UNKNOWN_ORDER
        quoted = self._quotes.of(fill.symbol, entry.ts_ns)
        hold, units = self._accounts.hold(fill.account), account.position(fill.symbol)
        return [records.decision(entry, fill.account, fill.order_id, reason, hold, quoted, units)]

    def _malformed(self, entry: Entry) -> Emitted:
        """Refuse an order that has an id; raises BadRecord where it has none."""
        order_id = fields.name_of(entry.body, "order_id")
        try:
            account = orders.account_of(entry.body)
        except BadRecord:
            return self._unseen(entry, None, order_id, Reason.MALFORMED)
        return self._unseen(entry, account, order_id, Reason.MALFORMED)

    def _unseen(self, entry: Entry, account: str | None, order_id: str, reason: Reason) -> Emitted:
        """Refuse an order of which no more is looked at."""
        hold = self._accounts.hold(account)
        return records.decision(entry, account, order_id, reason, hold)
