"""What clients and venues say of orders, as checked values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from operators.market.controls import fields
from state.market.accounts import account_name

SIDES = {"buy": 1, "sell": -1}


@dataclass(frozen=True, slots=True)
class Order:
    """A new order: ``side`` 1 or -1, quantity in units, ``price`` None for a market order."""

    account: str
    order_id: str
    symbol: str
    side: int
    units: int
    price: float | None


@dataclass(frozen=True, slots=True)
class Cancel:
    """A wish to take an order back."""

    account: str
    order_id: str


@dataclass(frozen=True, slots=True)
class Fill:
    """Units of an order that were traded at a price."""

    account: str
    order_id: str
    symbol: str
    side: int
    units: int
    price: float
    fill_id: str | None
    """The venue's name of the execution, if it gives one."""


def order_of(body: dict[str, Any]) -> Order:
    """Return the order of a body; raises WrongType or OutOfRange, as all below."""
    fields.time_of(body)
    return Order(
        account_of(body),
        fields.name_of(body, "order_id"),
        fields.name_of(body, "symbol"),
        fields.choice_of(body, "side", SIDES),
        fields.units_of(body, "quantity"),
        fields.optional_positive_of(body, "price"),
    )


def cancel_of(body: dict[str, Any]) -> Cancel:
    """Return the cancel of a body."""
    fields.time_of(body)
    return Cancel(account_of(body), fields.name_of(body, "order_id"))


def fill_of(body: dict[str, Any]) -> Fill:
    """Return the fill of a body."""
    fields.time_of(body)
    return Fill(
        account_of(body),
        fields.name_of(body, "order_id"),
        fields.name_of(body, "symbol"),
        fields.choice_of(body, "side", SIDES),
        fields.units_of(body, "quantity"),
        fields.positive_of(body, "price"),
        None if body.get("fill_id") is None else fields.name_of(body, "fill_id"),
    )


def account_of(body: dict[str, Any]) -> str:
    """Return the account of a body, in its one spelling."""
    return account_name(fields.string_of(body, "account"))
