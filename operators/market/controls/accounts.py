"""All accounts: who is held back by what, and which limits hold for whom."""

from __future__ import annotations

from typing import Any

from operators.market.controls.account import Account
from operators.market.controls.limits import ControlSettings, Limits
from operators.market.controls.states import Cause, Event, Hold, Standing, effective
from state.errors import OutOfRange, SnapshotRefused
from state.market.accounts import ALL, account_name


class Accounts:
    """The accounts by name, and what holds for every one of them."""

    def __init__(self, settings: ControlSettings) -> None:
        self._most = settings.max_accounts
        self._order_ids = settings.order_ids
        self._everyone = Standing()
        self._limits = settings.limits
        self._limits_source: str | None = None
        self._accounts: dict[str, Account] = {}

    @property
    def names(self) -> list[str]:
        """Return ALL, and the accounts in the order of their names."""
        return [ALL, *sorted(self._accounts)]

    def find(self, name: str) -> Account | None:
        """Return an account, or None where it is not known."""
        return self._accounts.get(name)

    def take(self, name: str) -> Account:
        """Return an account, a new one where it is not known; OutOfRange where no more fit."""
        account = self._accounts.get(name)
        if account is None:
            if len(self._accounts) >= self._most:
                raise OutOfRange(f"there are {self._most} accounts already (max_accounts)")
            account = self._accounts[name] = Account(self._order_ids)
        return account

    def require(self, name: str) -> None:
        """Raise OutOfRange unless it is ALL or an account that is known."""
        if name != ALL and name not in self._accounts:
            raise OutOfRange(f'{name!r} is no known account; with "new": true it becomes one')

    def hold(self, name: str | None) -> Hold:
        """Return what holds an account back; everyone's hold where it is ALL or not known."""
        account = self._accounts.get(name) if name is not None else None
        if account is None:
            return self._everyone.worst
        return effective(account.standing, self._everyone)

    def limits(self, account: Account) -> tuple[Limits, str | None]:
        """Return the limits of an account, and the record that set them (None: the settings)."""
        if account.limits is not None:
            return account.limits, account.limits_source
        return self._limits, self._limits_source

    def set_limits(self, name: str, given: dict[str, Any], source: str) -> None:
        """Set an account's limits, or with ALL those of the accounts that have none of their own.

        What is not given stays; an account's first limits begin as everyone's.
        """
        if name == ALL:
            self._limits, self._limits_source = self._limits.changed(given), source
            for account in self._accounts.values():
                if account.limits is None:
                    account.go_by(self._limits)
            return
        known = self.find(name)
        limits = (self._limits if known is None else self.limits(known)[0]).changed(given)
        account = self.take(name)
        account.limits, account.limits_source = limits, source
        account.go_by(limits)

    def move(
        self, name: str, cause: Cause, event: Event, reason: str, source: str
    ) -> dict[str, Hold]:
        """Move one account, or ALL; return whose state to tell, each with the hold in force.

        That is the account itself, and with ALL whoever's state it changes. Nobody's, where the
        table of transitions does not know the event.
        """
        before = {n: self.hold(n).state for n in self._accounts} if name == ALL else {}
        standing = self._everyone if name == ALL else self.take(name).standing
        if not standing.move(cause, event, reason, source):
            return {}
        after = {n: self.hold(n) for n in sorted(before)}
        told = {n: hold for n, hold in after.items() if hold.state != before[n]}
        return {name: self.hold(name), **told}

    def snapshot(self) -> dict[str, Any]:
        """Return a copy as plain values."""
        return {
            "everyone": self._everyone.snapshot(),
            "limits": self._limits.snapshot(),
            "limits_source": self._limits_source,
            "accounts": {name: account.snapshot() for name, account in self._accounts.items()},
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's accounts."""
        self._everyone.restore(parts["everyone"])
        self._limits, self._limits_source = Limits(**parts["limits"]), parts["limits_source"]
        self._accounts = {}
        for name, values in parts["accounts"].items():
            spelled = _spelled(name)
            if spelled in self._accounts:
                raise SnapshotRefused("accounts", f"{spelled!r} in two spellings", "one of each")
            account = self._accounts[spelled] = Account(self._order_ids)
            account.restore(values)


def _spelled(name: str) -> str:
    """Return how a snapshot's account is spelled today; raises SnapshotRefused where it cannot be.

    At first names were taken as they came, and one that nobody can write would stay as it is.
    """
    try:
        return account_name(name)
    except OutOfRange as error:
        raise SnapshotRefused("accounts", repr(name), str(error)) from None
