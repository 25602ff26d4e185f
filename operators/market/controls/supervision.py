"""What sets the trading state: people, the kill switch and the breakers; and its heartbeat."""

from __future__ import annotations

from operators.market.controls import fields, orders, records
from operators.market.controls.accounts import Accounts
from operators.market.controls.breakers import drawdown_of, judge
from operators.market.controls.entries import Emitted, Entry
from operators.market.controls.limits import Figure
from operators.market.controls.states import Cause, Event, Hold, State
from operators.market.controls.usage import usage
from state.errors import WrongType
from state.market.accounts import ALL

BY_STATE = {"ACTIVE": Event.ACTIVATE, "REDUCING": Event.REDUCE, "HALTED": Event.HALT}
NO_LIMITS = frozenset({"type", "ts_ns", "account", "reason", "by"})
"""What a limits event has besides limits."""

PORTFOLIO = "portfolio:"
"""The scope of portfolio P begins so; its account is P."""


class Supervision:
    """Moves the states of the accounts, at the very entry that gives the reason."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def state(self, entry: Entry) -> list[Emitted]:
        """Set a state by hand."""
        event = fields.choice_of(entry.body, "state", BY_STATE)
        return self._by_hand(entry, Cause.MANUAL, event)

    def kill(self, entry: Entry) -> list[Emitted]:
        """Throw the kill switch, which stays thrown until it is resumed."""
        return self._by_hand(entry, Cause.KILL, Event.KILL)

    def resume(self, entry: Entry) -> list[Emitted]:
        """Take the kill switch back, and nothing else that holds the account."""
        return self._by_hand(entry, Cause.KILL, Event.RESUME)

    def limits(self, entry: Entry) -> list[Emitted]:
        """Set limits; a breaker that they turn off lets go."""
        fields.time_of(entry.body)
        name = _account_or_all(entry)
        given = {k: v for k, v in entry.body.items() if k not in NO_LIMITS}
        self._accounts.set_limits(name, given, records.where(entry.source))
        told = []
        for each in self._accounts.names[1:] if name == ALL else [name]:
            limits, _ = self._accounts.limits(self._accounts.take(each))
            if limits.drawdown_limit is None:
                self._accounts.take(each).forget_peak()
                told += self._let_go(entry, each, Cause.DRAWDOWN)
            if limits.var_limit is None:
                told += self._let_go(entry, each, Cause.VAR)
        return told

    def heartbeat(self, entry: Entry) -> list[Emitted]:
        """Tell the state of all and of every account, and what has changed of the limits used."""
        fields.time_of(entry.body)
        told = []
        for name in self._accounts.names:
            hold = self._accounts.hold(name)
            told.append(records.state(entry, name, "heartbeat", hold, hold))
        for name in self._accounts.names[1:]:
            account = self._accounts.take(name)
            if not account.usage_told:
                limits, source = self._accounts.limits(account)
                told += [records.limit(entry, name, u, source) for u in usage(account, limits)]
                account.usage_told = True
        return told

    def pnl(self, entry: Entry) -> list[Emitted]:
        """Judge a portfolio's drawdown by what it has earned and is worth, cash included."""
        name = _portfolio(entry)
        # Records of older versions tell the value of what is held alone.
        field = "equity" if "equity" in entry.body else "value"
        equity, pnl = fields.number_of(entry.body, field), fields.number_of(entry.body, "pnl")
        account = self._accounts.take(name)
        limits, _ = self._accounts.limits(account)
        if limits.drawdown_limit is None:
            return []
        drawdown, account.peak = drawdown_of(equity, pnl, account.equity, account.peak)
        account.equity = equity
        account.usage_told = False
        return self._judge(
            entry,
            name,
            Cause.DRAWDOWN,
            drawdown >= limits.drawdown_limit,
            drawdown <= limits.drawdown_resume,
            limits.drawdown_action,
            f"drawdown {drawdown:.6g}, limit {limits.drawdown_limit:g}, "
            f"resumes at {limits.drawdown_resume:g}",
        )

    def risk(self, entry: Entry) -> list[Emitted]:
        """Judge a portfolio's VaR by a new figure, if it is the one that its limits name."""
        if not _scope(entry).startswith(PORTFOLIO):
            return []
        name = _portfolio(entry)
        var, valid = fields.number_of(entry.body, "var"), fields.flag_of(entry.body, "valid")
        figure = Figure(
            fields.name_of(entry.body, "method"),
            fields.number_of(entry.body, "confidence"),
            fields.number_of(entry.body, "horizon"),
            fields.name_of(entry.body, "interval"),
        )
        account = self._accounts.take(name)
        limits, _ = self._accounts.limits(account)
        if limits.var_limit is None or not valid or figure != limits.figure:
            return []
        account.var = figure, var
        account.usage_told = False
        return self._judge(
            entry,
            name,
            Cause.VAR,
            var > limits.var_limit,
            var < limits.var_resume,
            limits.var_action,
            f"{limits.var_method} VaR {var:.6g} at {limits.var_confidence:g}, limit "
            f"{limits.var_limit:g}, resumes below {limits.var_resume:g}",
        )

    def _by_hand(self, entry: Entry, cause: Cause, event: Event) -> list[Emitted]:
        fields.time_of(entry.body)
        name, reason = _account_or_all(entry), fields.text_of(entry.body, "reason")
        if not ("new" in entry.body and fields.flag_of(entry.body, "new")):
            self._accounts.require(name)
        return self._move(entry, name, cause, event, reason)

    def _let_go(self, entry: Entry, name: str, cause: Cause) -> list[Emitted]:
        return self._move(entry, name, cause, Event.RESET, "the breaker is turned off")

    def _judge(
        self,
        entry: Entry,
        name: str,
        cause: Cause,
        fails: bool,
        recovered: bool,
        action: str,
        reason: str,
    ) -> list[Emitted]:
        account = self._accounts.take(name)
        tripped = account.standing.of(cause) != State.ACTIVE
        event = judge(tripped, fails, recovered, action)
        return [] if event is None else self._move(entry, name, cause, event, reason)

    def _move(
        self, entry: Entry, name: str, cause: Cause, event: Event, reason: str
    ) -> list[Emitted]:
        source = records.where(entry.source)
        told = self._accounts.move(name, cause, event, reason, source)
        about = Hold(State.ACTIVE, cause, reason, source)
        return [records.state(entry, n, event.value, hold, about) for n, hold in told.items()]


def _account_or_all(entry: Entry) -> str:
    # Exactly so: a star with a space is more likely a slip than everybody.
    if entry.body.get("account") == ALL:
        return ALL
    return orders.account_of(entry.body)


def _scope(entry: Entry) -> str:
    return fields.string_of(entry.body, "scope")


def _portfolio(entry: Entry) -> str:
    scope = _scope(entry)
    if not scope.startswith(PORTFOLIO):
        raise WrongType("'scope' must be a portfolio's")
    return orders.account_of({"account": scope.removeprefix(PORTFOLIO)})
