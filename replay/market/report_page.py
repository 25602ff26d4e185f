"""The report on market risk: one HTML page, and its pictures as PNG beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from replay.market import page, plots
from replay.market.report_data import (
    ALLOCATED,
    SESSION,
    Shares,
    averaged,
    read_outputs,
    shares_of,
    times_of,
)
from replay.market.report_tables import (
    backtest_table,
    day,
    figures_table,
    percent,
    title,
)

PAGE = "index.html"
_MOST = 800
"""How many points in time areas have at the most; more are a smear."""
_GLOSSARY = """\
VaR and ES are fractions of the portfolio's value, positive for a loss. Each belongs to the method \
beside it: figures of different methods are different figures.
An exception is a session whose loss exceeded the VaR that had been forecast for it. Kupiec's p \
says whether there are as many as there should be, Christoffersen's whether they come \
independently, the conditional one both; below 0.05 they are bold.
Zone: Basel's traffic light over the last 250 sessions. Z₂: the second statistic of Acerbi and \
Székely for ES, about 0 where ES holds and negative where losses exceed it."""


def write_report(
    directory: Path, out: Path, advance: Callable[[int], None] = lambda count: None
) -> list[Path]:
    """Write the report on what ``directory`` holds; return its files, the page first.

    ``advance(1)`` is told each picture. Raises Misuse where there is nothing to report on.
    """
    return _Report(directory, out, advance).write()


class _Report:
    def __init__(self, directory: Path, out: Path, advance: Callable[[int], None]) -> None:
        self._data = read_outputs(directory)
        self._name = directory.resolve().name
        self._out = out
        self._advance = advance
        self._notes = list(self._data.notes)
        self._written: list[Path] = []

    def write(self) -> list[Path]:
        self._out.mkdir(parents=True, exist_ok=True)
        scopes = self._data.scopes
        sections = [page.links(self._anchors(scopes)), *self._tables()]
        for number, scope in enumerate(scopes, start=1):
            stem = f"{number:02d}-{re.sub(r'[^A-Za-z0-9._-]', '_', title(scope))}"
            sections += [page.heading(2, title(scope), f"p{number}")]
            sections += [*self._var(scope, stem), *self._shares(scope, stem)]
        sections += [page.heading(2, "Not shown", "notes")]
        sections += [page.bullets(self._notes or ["Nothing is missing."])]
        sections += ["<footer>", *map(page.paragraph, _GLOSSARY.splitlines()), "</footer>"]
        path = self._out / PAGE
        path.write_text(page.page("Market risk", self._lead(scopes), sections), encoding="utf-8")
        return [path, *self._written]

    def _anchors(self, scopes: Sequence[str]) -> Iterator[tuple[str, str]]:
        yield "figures", "Latest figures"
        yield "backtests", "Backtests"
        for number, scope in enumerate(scopes, start=1):
            yield f"p{number}", title(scope)
        yield "notes", "Not shown"

    def _lead(self, scopes: Sequence[str]) -> str:
        data = self._data
        times = pl.concat([f["ts_ns"] for f in (data.risk, data.pnl, data.backtest, data.weights)])
        parts = [self._name, f"{len(scopes)} portfolio{'' if len(scopes) == 1 else 's'}"]
        if len(times):
            first, last = times.sort()[[0, -1]]
            parts.append(f"{day(first)} to {day(last)} (UTC)")
        return " · ".join(parts)

    def _tables(self) -> Iterator[str]:
        yield page.heading(2, "Latest figures", "figures")
        risk = self._data.risk
        if risk.is_empty():
            yield page.paragraph("There are no figures of portfolios.", "faint")
        for interval in sorted(risk["interval"].unique(), key=lambda name: (name != SESSION, name)):
            what = "By session" if interval == SESSION else f"By bars of {interval}"
            yield page.heading(3, what)
            yield figures_table(risk, interval)
            if interval != SESSION:
                self._notes.append(f"Figures by bars of {interval} are in their table alone.")
        yield page.heading(2, "Backtests", "backtests")
        if self._data.backtest.is_empty():
            yield page.paragraph("There are no backtests.", "faint")
        else:
            yield backtest_table(self._data.backtest, self._data.risk)

    def _confidences(self, scope: str) -> list[float]:
        return sorted(self._data.daily(scope)["confidence"].unique(), reverse=True)

    def _var(self, scope: str, stem: str) -> Iterator[str]:
        """Yield a picture of VaR against P&L for each confidence."""
        confidences = self._confidences(scope)
        if not confidences or self._data.pnl.filter(scope=scope).is_empty():
            lacks = "P&L (pnl)" if confidences else "figures by session (risk)"
            self._notes.append(f"{title(scope)} has no {lacks}, so no VaR against P&L.")
            return
        for confidence in confidences:
            sessions = self._data.sessions(scope, confidence)
            caption = (
                f"Returns of {len(sessions.times):,} sessions against the VaR at "
                f"{percent(confidence)} that each method had forecast for them. Below, each "
                "method's exceptions, and how many they are of how many valid forecasts."
            )
            name = f"{stem}-var-{confidence:g}"
            yield self._picture(name, caption, partial(plots.var_figure, sessions))

    def _shares(self, scope: str, stem: str) -> Iterator[str]:
        """Yield pictures of the component contributions and of the target weights."""
        confidence = max(self._confidences(scope), default=0.0)
        found = self._data.components(scope, confidence)
        many = max((len(shares.times) for shares in found.values()), default=0)
        many = -(-many // _MOST)
        components = {method: averaged(shares, many) for method, shares in found.items()}
        for method in ALLOCATED:
            if method not in components:
                self._notes.append(f"{title(scope)} has no components of {method}.")
        colours = plots.colours_of(list(components.values()), {})
        if components:
            caption = (
                f"Component VaR at {percent(confidence)}, one session ahead, by "
                f"{' and '.join(components)}. The areas of a panel add up to its method's VaR."
            )
            if many > 1:
                caption += f" Each step is the mean of {many} sessions."
            draw = partial(plots.contributions_figure, components, colours)
            yield self._picture(f"{stem}-components", caption, draw)
        yield from self._weights(scope, stem, colours)

    def _weights(self, scope: str, stem: str, taken: dict[str, int]) -> Iterator[str]:
        found = self._data.weights.filter(scope=scope)
        if found.is_empty():
            self._notes.append(f"{title(scope)} has no target weights.")
            return
        end_ns = self._data.pnl.filter(scope=scope)["ts_ns"].max()
        weights = shares_of(times_of(found), found["weights"])
        stale = found["stale"].to_list()
        caption = f"Target weights: {', '.join(found['objective'].unique(maintain_order=True))}."
        if any(stale):
            reason = found.filter(pl.col("stale"))["reason"][-1]
            caption += f" {sum(stale):,} of {len(stale):,} are stale (at last: {reason})."
        held = held_until(weights, end_ns if isinstance(end_ns, int) else 0)
        old = weights.times[np.array(stale, np.bool_)]
        colours = plots.colours_of([weights], taken)
        draw = partial(plots.weights_figure, held, old, colours)
        yield self._picture(f"{stem}-weights", caption, draw)

    def _picture(self, name: str, caption: str, draw: Callable[[plots.Theme], Figure]) -> str:
        light, dark = (plots.png(draw(theme)) for theme in (plots.LIGHT, plots.DARK))
        for image, suffix in ((light, ".png"), (dark, "-dark.png")):
            path = self._out / f"{name}{suffix}"
            path.write_bytes(image)
            self._written.append(path)
        self._advance(1)
        return page.picture(light, dark, caption)


def held_until(weights: Shares, end_ns: int) -> Shares:
    """Return weights with their last row repeated at ``end_ns``, up to which it holds."""
    end = np.array([max(end_ns, int(weights.times[-1].astype(np.int64)))], "datetime64[ns]")
    times = np.concatenate([weights.times, end])
    return Shares(times, weights.names, np.vstack([weights.values, weights.values[-1:]]))
