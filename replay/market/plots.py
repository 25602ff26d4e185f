"""The pictures of a report: VaR against P&L, component contributions, weights.

Each is drawn for a light and for a dark page. The colours start from those of Okabe and Ito, which
colour-blind readers can tell apart; every second line is dashed besides, and each method's
exceptions have a row of their own.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from replay.market.report_data import Sessions, Shares, Times, gathered, largest

WIDTH, DPI = 11.0, 144
NAMED = 7
"""How many symbols an area chart names; the rest is drawn as one."""


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a page; ``series`` are for what has to be told apart."""

    ground: str
    text: str
    faint: str
    grid: str
    rest: str
    alarm: str
    series: tuple[str, ...]


LIGHT = Theme(
    "#ffffff",
    "#1f2328",
    "#8b949e",
    "#e4e7eb",
    "#c4c9d0",
    "#b42318",
    ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#8a8000"),
)
DARK = Theme(
    "#171b21",
    "#e6e8eb",
    "#768390",
    "#2c323b",
    "#4b535f",
    "#ff7b6b",
    ("#4c9fd8", "#f0803c", "#2dbd94", "#e094bd", "#f0b440", "#8fd0f5", "#b08fd0", "#c7bd3c"),
)


def png(figure: Figure) -> bytes:
    """Return the picture as PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    # Without the name of the program, which holds its version.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def var_figure(sessions: Sessions, theme: Theme) -> Figure:
    """Draw returns against VaR, and below them a row of marks for each method's exceptions."""
    rows = 0.25 * len(sessions.var)
    figure, (above, below) = _figure(theme, 4.2 + rows, [4.2, rows])
    times, returns = sessions.times, sessions.returns
    hit = np.any(list(sessions.exceptions.values()), axis=0)
    # What is clear for some years would be a smear for decades.
    size = 3.4 * min(1.0, (2500 / len(times)) ** 0.5)
    above.plot(times[~hit], returns[~hit], ".", color=theme.faint, ms=size, mew=0)
    above.plot(
        times[hit],
        returns[hit],
        "o",
        color=theme.alarm,
        ms=1.2 * size,
        mew=0,
        zorder=5,
        label="exception",
    )
    right = below.get_yaxis_transform()
    for place, (method, var) in enumerate(sessions.var.items()):
        colour, dash = theme.series[place % len(theme.series)], "--" if place % 2 else "-"
        above.plot(times, -var, dash, color=colour, lw=0.4 + 0.2 * size, label=method)
        marked = times[sessions.exceptions[method]]
        below.plot(marked, np.full(len(marked), place), "|", color=colour, ms=8, mew=1.1)
        told = f" {len(marked):,} of {np.count_nonzero(np.isfinite(var)):,}"
        below.text(1.0, place, told, transform=right, color=theme.text, fontsize=9, va="center")
    above.axhline(0.0, color=theme.faint, lw=0.8)
    above.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    above.set_ylabel("return and −VaR", color=theme.text)
    below.text(1.0, -1.2, " exceptions", transform=right, color=theme.text, fontsize=9, va="center")
    below.set_yticks(range(len(sessions.var)), list(sessions.var))
    below.set_ylim(len(sessions.var) - 0.4, -0.6)
    _legend(above, theme, ncols=5)
    return figure


def contributions_figure(
    shares: Mapping[str, Shares], colours: Mapping[str, int], theme: Theme
) -> Figure:
    """Draw the component VaR of symbols as areas that add up to VaR, one panel for each method."""
    figure, axes = _figure(theme, 2.9 * len(shares), [1.0] * len(shares))
    for axis in axes[1:]:
        axis.sharey(axes[0])
    for axis, (method, part) in zip(axes, shares.items(), strict=True):
        _areas(axis, named(part, colours), colours, theme, step=None)
        total = part.values.sum(axis=1)
        axis.plot(part.times, total, color=theme.text, lw=0.9, label="VaR")
        axis.set_ylabel(method, color=theme.text)
    _legend(axes[0], theme, ncols=NAMED + 2)
    return figure


def weights_figure(
    weights: Shares, stale: Times, colours: Mapping[str, int], theme: Theme
) -> Figure:
    """Draw target weights as areas that change in steps, with a mark where they are ``stale``."""
    figure, (axis,) = _figure(theme, 3.2, [1.0])
    _areas(axis, named(weights, colours), colours, theme, step="post")
    if len(stale):
        top = np.clip(weights.values, 0.0, None).sum(axis=1).max()
        axis.plot(
            stale, np.full(len(stale), 1.04 * top), "v", color=theme.alarm, ms=5, label="stale"
        )
    axis.set_ylabel("target weight", color=theme.text)
    _legend(axis, theme, ncols=NAMED + 2)
    return figure


def colours_of(shares: Sequence[Shares], taken: Mapping[str, int]) -> dict[str, int]:
    """Return which colour each of the largest symbols has; those ``taken`` keep theirs."""
    names = largest(shares, NAMED)
    kept = {name: taken[name] for name in names if name in taken}
    free = iter(place for place in range(NAMED + 1) if place not in kept.values())
    return {name: kept[name] if name in kept else next(free) for name in names}


def named(shares: Shares, colours: Mapping[str, int]) -> Shares:
    """Return the shares of the symbols that have a colour, and of all others as one."""
    others = len(set(shares.names) - set(colours))
    return gathered(shares, list(colours), f"{others} others")


def _areas(
    axis: Axes, shares: Shares, colours: Mapping[str, int], theme: Theme, step: str | None
) -> None:
    """Stack what is above zero upwards, and what is below it downwards."""
    for sign in (1.0, -1.0):
        base = np.zeros(len(shares.times))
        for place, name in enumerate(shares.names):
            part = np.clip(sign * shares.values[:, place], 0.0, None) * sign
            if not part.any() and sign < 0:
                continue
            colour = theme.series[colours[name]] if name in colours else theme.rest
            axis.fill_between(
                shares.times,
                base,
                base + part,
                step=step,  # type: ignore[arg-type]  # one of its literals
                facecolor=colour,
                lw=0,
                label=name if sign > 0 else None,
            )
            base = base + part
    axis.axhline(0.0, color=theme.faint, lw=0.8)
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))


def _figure(theme: Theme, height: float, ratios: Sequence[float]) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels above each other, which share the axis of time."""
    figure = Figure((WIDTH, height), dpi=DPI, layout="constrained", facecolor=theme.ground)
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios, squeeze=False)
    axes: list[Axes] = list(panels[:, 0])
    locator = AutoDateLocator(maxticks=12)  # type: ignore[no-untyped-call]  # matplotlib's gap
    dates = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]  # as above
    for axis in axes:
        axis.set_facecolor(theme.ground)
        axis.xaxis.set_major_locator(locator)
        axis.xaxis.set_major_formatter(dates)
        axis.xaxis.get_offset_text().set_color(theme.text)
        axis.tick_params(colors=theme.text, labelsize=9, length=0, pad=5)
        axis.grid(color=theme.grid, lw=0.7)
        axis.set_axisbelow(True)
        axis.margins(x=0.01)
        for side in axis.spines.values():
            side.set_visible(False)
    return figure, axes


def _legend(axis: Axes, theme: Theme, ncols: int) -> None:
    """Put the legend above the panel, where it hides nothing."""
    axis.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=ncols,
        frameon=False,
        fontsize=9,
        labelcolor=theme.text,
        borderaxespad=0.2,
        handlelength=1.6,
        columnspacing=1.4,
    )
