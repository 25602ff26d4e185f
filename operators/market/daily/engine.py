"""Daily risk as a whole: closes, events and answers in; figures, profits and requests out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from operator import itemgetter
from typing import Any

from operators.audit import AuditChain
from operators.market.daily.assets import Action, Assets
from operators.market.daily.book import Book
from operators.market.daily.holdings import CASH, Holdings
from operators.market.daily.past import Facts, Past, ex_ns_of
from operators.market.daily.planner import Planner, View
from operators.market.daily.requests import Answer, Request, Requests
from operators.market.daily.settings import DailySettings
from operators.market.daily.stress import Stress
from operators.market.models import GARCH
from operators.market.records import listed
from operators.merge import Item
from operators.outputs import Emission
from state.clock import NS
from state.records import Coordinates

Compute = Callable[[Request], Answer]


class Daily:
    """Works on complete times in order; what an answer is missing for waits.

    ``compute`` answers requests at once, where nobody else does: in a replay of a recording
    that holds no answers.
    """

    def __init__(
        self, settings: DailySettings, settings_hash: str = "", compute: Compute | None = None
    ) -> None:
        self._settings = settings
        self._hash = settings_hash
        self._compute = compute
        self._assets = Assets(settings.retained)
        self._books: dict[str, Book] = {}
        self._views: dict[str, dict[str, View]] = {}
        self._requests = Requests()
        self._planner = Planner(settings)
        self._stress = Stress(settings.scenarios)
        self._audit = AuditChain("market")
        self._past = Past()
        self._queue: list[tuple[int, list[Item]]] = []
        for name, weights in sorted(settings.portfolios.items()):
            self._hold(name, weights, "daily", 1.0)

    @property
    def waiting(self) -> int:
        """Return how many complete times wait for an answer."""
        return len(self._queue)

    @property
    def unanswered(self) -> int:
        """Return how many requests have no answer yet."""
        return self._requests.waiting

    def accept(self, time_ns: int, items: list[Item]) -> list[Emission]:
        """Take a complete time; return the records of all times that can be worked on now."""
        self._queue.append((time_ns, items))
        return self._drain()

    def answer(self, answer: Answer) -> list[Emission]:
        """Take an answer; return the records of the times that waited for it alone."""
        return self._drain() if self._requests.take(answer) else []

    def finish(self, compute: Compute) -> list[Emission]:
        """Compute the answers that will not come any more; return the records of what waited."""
        self._compute = compute
        return self._drain()

    def describe(self, portfolio: str) -> dict[str, Any]:
        """Return what a portfolio holds; {} where there is none of this name."""
        book = self._books.get(portfolio)
        return {} if book is None else {"holdings": book.holdings.snapshot()}

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {
            "assets": self._assets.snapshot(),
            "books": {name: book.snapshot() for name, book in self._books.items()},
            "views": {name: dict(views) for name, views in self._views.items()},
            "requests": self._requests.snapshot(),
            "planner": self._planner.snapshot(),
            "stress": self._stress.snapshot(),
            "audit": self._audit.snapshot(),
            "past": self._past.snapshot(),
            "queue": [(time_ns, list(items)) for time_ns, items in self._queue],
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._assets.restore(parts["assets"])
        self._books = {
            name: Book.restored(name, kept, self._settings, self._assets)
            for name, kept in parts["books"].items()
        }
        self._views = {name: dict(views) for name, views in parts["views"].items()}
        self._requests.restore(parts["requests"])
        self._planner.restore(parts["planner"])
        self._stress.restore(parts["stress"])
        self._audit.restore(parts["audit"])
        if "past" in parts:  # at first, what was told late counted as of now
            self._past.restore(parts["past"])
        self._queue = [(time_ns, list(items)) for time_ns, items in parts["queue"]]

    def _drain(self) -> list[Emission]:
        records: list[Emission] = []
        while self._queue:
            time_ns, items = self._queue[0]
            for request in self._requests.missing(time_ns):
                if self._compute is None:
                    return records
                self._requests.take(self._compute(request))
            records.extend(self._step(time_ns, items))
            del self._queue[0]
        return records

    def _step(self, time_ns: int, items: list[Item]) -> Iterator[Emission]:
        """Yield what a time brings: a close is of what was held before it, changes come after."""
        facts = self._past.sort(time_ns, items)
        yield from (_refused(time_ns, item, reason) for item, reason in facts.refused)
        for body in facts.actions:
            self._announce(body)
        answers = self._requests.in_force(time_ns)
        yield from self._catch_up(time_ns, facts, answers)
        if facts.prices:
            yield from self._judge(time_ns, facts)
        for request, answer in answers:
            if request["counts_from_ns"] == time_ns:
                yield from self._use(time_ns, request, answer)
        for body in facts.now:
            self._apply(body)
        yield from self._look_ahead(time_ns) if facts.prices else self._renew(time_ns)

    def _catch_up(
        self, time_ns: int, facts: Facts, answers: list[tuple[Request, Answer]]
    ) -> Iterator[Emission]:
        """Let words and answers of before count in the order of their times."""
        words: list[tuple[int, int, Any]] = [(body["ts_ns"], 1, body) for body in facts.before]
        counted: list[tuple[int, int, Any]] = [(r["counts_from_ns"], 0, (r, a)) for r, a in answers]
        for counts_ns, is_word, what in sorted([*words, *counted], key=itemgetter(0, 1)):
            if is_word:
                self._apply(what)
            elif counts_ns < time_ns:
                request, answer = what
                yield from self._use(time_ns, request, answer)
                # Without a delay it counts from just behind the close, whose figures have its time.
                yield from self._renew(max(counts_ns, request["ts_ns"] + 1))
        if facts.before and facts.prices:
            # What is judged now has to be a forecast for what was held. Nobody was told it: between
            # two closes the end of the step tells the figures.
            for _ in self._renew(time_ns):
                pass

    def _judge(self, time_ns: int, facts: Facts) -> Iterator[Emission]:
        """Yield what a session brought."""
        happened = self._assets.close(time_ns, facts.prices)
        # A day that ends at midnight is not the next one.
        last_s = (time_ns - 1) // NS
        day = facts.session or datetime.fromtimestamp(last_s, self._settings.zone).date()
        self._stress.observe(day, self._assets)
        if not self._assets.sessions:  # the first close: there is nothing to compare it with
            for book in self._books.values():
                book.holdings.follow(happened, self._assets)
            return
        for name in sorted(self._books):
            yield from self._books[name].judge(time_ns, happened, self._assets)

    def _renew(self, time_ns: int) -> Iterator[Emission]:
        """Yield new figures of the portfolios whose holdings have changed."""
        for name in sorted(self._books) if self._assets.sessions else ():
            if self._books[name].holdings.changed:
                yield from self._books[name].forecast(time_ns, self._assets)

    def _look_ahead(self, time_ns: int) -> Iterator[Emission]:
        """Yield what a close says of the sessions to come, and what it asks for."""
        for name in sorted(self._books) if self._assets.sessions else ():
            book = self._books[name]
            yield from book.forecast(time_ns, self._assets)
            yield from self._stress.losses(time_ns, book)
            views = self._views.get(name, {})
            for request in self._planner.due(time_ns, book, self._assets, views):
                self._requests.ask(request)
                yield "requests", time_ns, request["id"], "", request

    def _announce(self, body: dict[str, Any]) -> None:
        ex_ns, symbol = ex_ns_of(body), body["symbol"]
        ratio, cash = body.get("ratio", 1.0), body.get("amount", 0.0)
        self._assets.announce(Action(ex_ns, symbol, ratio, cash))
        for book in self._books.values():
            # Quantities of a time behind the split were taken for old shares if they came before.
            if body["type"] == "split" and book.holdings.was_told(symbol, ex_ns):
                book.holdings.take_stock(self._assets)

    def _apply(self, body: dict[str, Any]) -> None:
        """Apply an event of a portfolio."""
        kind, name = body["type"], body["portfolio"]
        if kind == "view":
            views = self._views.setdefault(name, {})
            views.pop(body["view"], None)
            if body["return"] is not None:
                kept = ("assets", "return", "confidence")
                views[body["view"]] = {field: body[field] for field in kept}
        elif kind == "position":
            holdings = self._positions(name).holdings
            holdings.tell(body["ts_ns"], body["symbol"], body["quantity"], self._assets)
        elif kind == "cash":
            self._positions(name).holdings.tell(body["ts_ns"], CASH, body["amount"], self._assets)
        elif body["weights"]:
            self._hold(name, body["weights"], body["rebalance"], body["value"])
        else:
            self._books.pop(name, None)

    def _hold(self, name: str, weights: Any, kind: Any, value: float) -> None:
        book = self._books.get(name)
        if book is None or book.holdings.kind != kind:
            holdings = Holdings(kind, value if book is None else book.holdings.value)
            book = self._book(name, holdings)
        book.holdings.set_weights(weights, self._assets)

    def _positions(self, name: str) -> Book:
        """Return the portfolio of positions of this name, a new one where there is none."""
        book = self._books.get(name)
        if book is None or book.holdings.kind != "positions":
            book = self._book(name, Holdings("positions", 0.0))
        return book

    def _book(self, name: str, holdings: Holdings) -> Book:
        """Return the portfolio under other holdings; its past forecasts stay judged."""
        book = self._books.get(name)
        if book is None:
            book = self._books[name] = Book(name, holdings, self._settings)
        book.holdings = holdings
        return book

    def _use(self, time_ns: int, request: Request, answer: Answer) -> Iterator[Emission]:
        """Let an answer count from now on; quantities are told by events alone."""
        name = request["scope"].removeprefix("portfolio:")
        book = self._books.get(name)
        if book is None:
            return
        if request["model"] == GARCH:
            if answer["status"] == "ok":
                book.forecasts.set_garch(**answer["output"])
            what = {"model": answer["id"], "status": answer["status"], "reason": answer["reason"]}
        else:
            record = self._weights(time_ns, book, request, answer)
            takes_over = self._settings.targets[name].apply and book.holdings.kind != "positions"
            if takes_over and not record["stale"]:
                book.holdings.set_weights(record["weights"], self._assets)
                self._past.note_weights(book.name, request["counts_from_ns"])
            yield "weights", time_ns, record["id"], record["scope"], record
            what = {k: record[k] for k in ("model", "weights", "stale", "reason")}
        what |= {"scope": request["scope"], "settings": self._hash, "data_ns": request["ts_ns"]}
        entry = self._audit.append(time_ns, what)
        yield "audit", entry["ts_ns"], entry["id"], "", entry

    def _weights(
        self, time_ns: int, book: Book, request: Request, answer: Answer
    ) -> dict[str, Any]:
        """Return the ``weights`` record: the answer's, or the last good ones, stale."""
        good, reason = answer["status"] == "ok", answer["reason"]
        if good and request["input"]["symbols"] != book.holdings.symbols:
            good, reason = False, "the portfolio holds other assets by now"
        if good:
            self._planner.targets[book.name] = answer["output"]["weights"]
            reason = self._planner.note(request)
        weights = self._planner.targets.get(book.name, request["input"]["current"])
        return {
            "id": f"{request['scope']}|{time_ns}",
            "ts_ns": time_ns,
            "scope": request["scope"],
            "objective": request["input"]["objective"],
            "weights": dict(weights),
            "stale": not good,
            "reason": reason,
            "solver": answer["output"].get("solver", ""),
            "model": answer["id"],
        }


def _refused(time_ns: int, item: Item, reason: str) -> Emission:
    """Return the ``late`` record of an event; ``time_ns`` is what its partition had told before."""
    _, *where, body = item
    record = listed(Coordinates(*where), body["ts_ns"], body.get("symbol", "")) | {
        "venue": "",
        "type": body["type"],
        "watermark_ns": time_ns,
        "reason": reason,
    }
    return "late", body["ts_ns"], record["id"], "", record
