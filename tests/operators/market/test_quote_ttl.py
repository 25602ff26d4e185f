"""Quotes that grow old: those of a venue that fell silent do not make the NBBO."""

from __future__ import annotations

from flows.settings.market import Market, Risk
from state.clock import NS
from tests.contracts import operators as contract
from tests.driver import Driver
from tests.reference.vocabulary import Record, Tick


def market(quote_ttl: int) -> Market:
    return Market(
        lateness=0, intervals=(NS,), risk=Risk(interval=NS), symbol_ttl=99 * NS, quote_ttl=quote_ttl
    )


def quote(second: int, venue: str, bid: float = 0.0, ask: float = 0.0) -> Tick:
    return Tick(
        0, second, "quote", second * NS, symbol="A", venue=venue,
        bid=bid, bid_size=1.0, ask=ask, ask_size=1.0,
    )  # fmt: skip


TICKS = [
    quote(1, "silent", bid=10.0, ask=10.1),
    quote(2, "busy", bid=9.0),
    quote(3, "busy", ask=9.1),
    quote(4, "busy", bid=9.0),
    quote(5, "busy", bid=9.0),
    Tick(0, 6, "heartbeat", 9 * NS),
]


def sides(quote_ttl: int) -> list[tuple[float | None, float | None]]:
    found: list[Record] = Driver(market(quote_ttl), 1).run(TICKS)["nbbo"]
    return [(record["bid"], record["ask"]) for record in found]


def test_without_a_lifetime_a_quote_stands_until_it_is_replaced() -> None:
    assert sides(0) == [(10.0, 10.1), (10.0, 10.1), (10.0, 9.1), (10.0, 9.1), (10.0, 9.1)]


def test_a_side_counts_up_to_its_lifetime_and_no_longer() -> None:
    assert sides(2 * NS) == [(10.0, 10.1), (10.0, 10.1), (10.0, 9.1), (9.0, 9.1), (9.0, 9.1)]
    assert sides(2 * NS - 1) == [(10.0, 10.1), (10.0, 10.1), (9.0, 9.1), (9.0, 9.1), (9.0, None)]


def test_the_operators_keep_the_contract() -> None:
    contract.check(contract.none, contract.MARKET.model_copy(update={"quote_ttl": NS}))
