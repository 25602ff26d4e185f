"""Facts of the past: what is told of a time that daily risk has left behind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from operators.market.closes import NO_RECORD
from operators.merge import Item
from state.market.tick_outputs import BEHIND, REPLACED, SESSION_CLOSED
from state.metrics import KEPT

Body = dict[str, Any]
ACTIONS = ("split", "dividend")
Told = dict[tuple[str, ...], int]


class Facts(NamedTuple):
    """What counts at one time: actions, words of before, the prices of closes, words of now."""

    actions: list[Body]
    before: list[Body]
    prices: dict[str, float]
    now: list[Body]
    refused: list[tuple[Item, str]]
    """With the reasons."""
    session: date | None = None
    """Of which date the closes are at the exchange, where they say it."""


class Past:
    """Decides what counts of a time's events, so that no fact of the past counts as of now.

    - Closes count in the order of time: a close or a correction behind that is refused.
    - A split or a dividend belongs to the first close of its symbol from its ex time on: where that
      is over, it is refused, whenever it was told.
    - Of a portfolio, a position, cash or a view, the word with the newest time counts from that
      time on. What is told late is applied while no session has closed since, for until then its
      time makes no difference; older than a word that it would replace, it is refused.
    """

    def __init__(self) -> None:
        self._close_ns = 0
        self._priced: dict[str, int] = {}
        """The last close of each symbol."""
        self._told: Told = {}
        """When the newest words were said, since the last close; those of before cannot win."""

    def sort(self, time_ns: int, items: Sequence[Item]) -> Facts:
        """Return what counts of the ``items`` of ``time_ns``, up to which all is known."""
        facts = Facts([], [], {}, [], [])
        sessions: list[str] = []
        for item in items:
            body = item[-1]
            reason = self._refusal(time_ns, body)
            if reason:
                facts.refused.append((item, reason))
                continue
            count_kept(item)
            if body["type"] in ACTIONS:
                facts.actions.append(body)
            elif body["type"] == "closes":
                facts.prices.update(body["prices"])
                sessions += filter(None, [body.get("session")])
            elif body["ts_ns"] < time_ns:
                facts.before.append(body)
            else:
                facts.now.append(body)
        if facts.prices:
            self._close_ns = time_ns
            self._priced.update(dict.fromkeys(facts.prices, time_ns))
            for subject in [s for s, said in self._told.items() if said < time_ns]:
                del self._told[subject]
        return facts._replace(session=date.fromisoformat(max(sessions)) if sessions else None)

    def note_weights(self, portfolio: str, time_ns: int) -> None:
        """Note that a portfolio has taken other weights over: older words do not replace them."""
        subject = ("holdings", portfolio)
        self._told[subject] = max(time_ns, self._told.get(subject, 0))

    def _refusal(self, time_ns: int, body: Body) -> str:
        kind, ts_ns = body["type"], body["ts_ns"]
        if kind == "closes":
            return BEHIND if ts_ns < time_ns else ""
        if kind in ACTIONS:
            over = ex_ns_of(body) <= self._priced.get(body["symbol"], 0)
            return SESSION_CLOSED if over else ""
        if ts_ns < self._close_ns:
            return SESSION_CLOSED
        subject = _subject(body)
        if any(said > ts_ns and _overlap(subject, other) for other, said in self._told.items()):
            return REPLACED
        self._told[subject] = ts_ns
        return ""

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {
            "close_ns": self._close_ns,
            "priced": dict(self._priced),
            "told": dict(self._told),
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._close_ns = parts["close_ns"]
        self._priced, self._told = dict(parts["priced"]), dict(parts["told"])


def count_kept(item: Item) -> None:
    """Count an event that the state has taken in, where it is a record of its topic."""
    _, topic, _, _, sequence, _ = item
    if sequence != NO_RECORD:
        KEPT.labels(topic).inc()


def ex_ns_of(action: Body) -> int:
    """Return the time (ns) from which on an action counts."""
    ex_ns: int = action["ex_ns"] or action["ts_ns"]
    return ex_ns


def _subject(body: Body) -> tuple[str, ...]:
    """Return what an event of a portfolio speaks of."""
    if body["type"] == "view":
        return ("view", body["portfolio"], body["view"])
    if body["type"] == "position":
        return ("holdings", body["portfolio"], body["symbol"])
    if body["type"] == "cash":
        return ("holdings", body["portfolio"], "")  # no symbol is empty
    return ("holdings", body["portfolio"])


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Return whether one word replaces the other: a portfolio is the whole of its positions."""
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]
