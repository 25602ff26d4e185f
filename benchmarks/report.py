"""Figures, their spread over the repeats, and the goals they meet or miss."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

PERCENTILES = (50.0, 90.0, 99.0, 99.9, 100.0)
_EDGES_MS = (
    0.25, 0.5, 1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100, 200, 500, 1000,
)  # fmt: skip
_BAR = 50


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure has to reach: at least ``value``, or at most where ``most`` is set."""

    value: float
    most: bool = False

    def verdict(self, reached: float) -> str:
        """Return ``goal …: met`` or by how much it was missed."""
        sign = "<=" if self.most else ">="
        text = f"goal {sign} {number(self.value)}"
        if reached <= self.value if self.most else reached >= self.value:
            return f"{text}: met"
        return f"{text}: MISSED by {number(abs(reached - self.value))}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured thing; its value is the median of the repeats."""

    part: str
    name: str
    unit: str
    repeats: Sequence[float]
    goal: Goal | None = None

    @property
    def value(self) -> float:
        """The median."""
        return statistics.median(self.repeats)

    def line(self) -> str:
        """Return the figure for people."""
        text = f"  {self.name:<58} {number(self.value):>10} {self.unit:<10}"
        if len(self.repeats) > 1:
            low, high = number(min(self.repeats)), number(max(self.repeats))
            text += f" {low} to {high}, n={len(self.repeats)}"
        return f"{text}  {self.goal.verdict(self.value)}" if self.goal else text.rstrip()

    def plain(self) -> dict[str, Any]:
        """Return the figure for programs."""
        verdict = self.goal.verdict(self.value) if self.goal else None
        return asdict(self) | {"value": self.value, "verdict": verdict}


@dataclass(slots=True)
class Report:
    """All that one run found, printed as it comes unless ``json`` is set."""

    json: bool
    facts: dict[str, str]
    figures: list[Figure] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=dict)

    def begin(self) -> None:
        """Print the machine."""
        self._print(*(f"{name}: {value}" for name, value in self.facts.items()))

    def part(self, letter: str, title: str, *conditions: str) -> None:
        """Begin a part; the conditions belong to each of its figures."""
        self.notes[letter] = [title, *conditions]
        self._print("", f"({letter}) {title}", *(f"  {text}" for text in conditions))

    def note(self, letter: str, *lines: str) -> None:
        """Add text to a part."""
        self.notes[letter].extend(lines)
        self._print(*(f"  {line}" for line in lines))

    def figure(self, *args: Any, **kwargs: Any) -> None:
        """Add a `Figure`."""
        figure = Figure(*args, **kwargs)
        self.figures.append(figure)
        self._print(figure.line())

    def end(self) -> None:
        """Print all of it where a program reads it."""
        if self.json:
            figures = [figure.plain() for figure in self.figures]
            content = {"machine": self.facts, "notes": self.notes, "figures": figures}
            print(orjson.dumps(content, option=orjson.OPT_INDENT_2).decode())

    def _print(self, *lines: str) -> None:
        if not self.json:
            print(*lines, sep="\n", flush=True)


def number(value: float) -> str:
    """Return a number with three significant digits or all of its whole ones.

    >>> number(1234567.8), number(0.81234)
    ('1,234,568', '0.812')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def percentiles(values_ns: NDArray[np.int64]) -> dict[str, float]:
    """Return p50, p90, p99, p99.9 and max in milliseconds."""
    names = [f"p{p:g}" if p < 100 else "max" for p in PERCENTILES]
    found = np.percentile(values_ns, PERCENTILES) / 1e6
    return dict(zip(names, found.tolist(), strict=True))


def percentile_line(name: str, values_ns: NDArray[np.int64]) -> str:
    """Return the percentiles of one thing as a line of text."""
    if not len(values_ns):
        return f"{name:<34} nothing was measured"
    found = "  ".join(f"{key} {value:8.3f}" for key, value in percentiles(values_ns).items())
    return f"{name:<34} {found}  ms"


def stage_lines(stages: Mapping[str, NDArray[np.int64]], total: NDArray[np.int64]) -> list[str]:
    """Return a table of times (ns) by stage, and their means in the slowest hundredth of ``total``.

    The p99 of stages do not add up to that of the whole; the means of its slowest hundredth do.
    """
    slow = total >= np.percentile(total, 99) if len(total) else np.zeros(0, np.bool_)
    lines = [f"{'stage':<10} {'mean':>8} {'p50':>8} {'p99':>8} {'max':>8} {'slowest 1 %':>12}"]
    for name, values in stages.items():
        if len(values):
            p50, p99 = np.percentile(values, (50, 99)) / 1e6
            lines.append(
                f"{name:<10} {values.mean() / 1e6:8.3f} {p50:8.3f} {p99:8.3f} "
                f"{values.max() / 1e6:8.3f} {values[slow].mean() / 1e6:12.3f}"
            )
    return lines


def histogram(values_ns: NDArray[np.int64]) -> list[str]:
    """Return a histogram in text: one line a bucket, with its share and what is below its end."""
    edges = np.array([-np.inf, *(edge * 1e6 for edge in _EDGES_MS), np.inf])
    counts = np.histogram(values_ns, edges)[0]
    total, below, lines = max(1, len(values_ns)), 0, []
    for end, count in zip([*_EDGES_MS, np.inf], counts.tolist(), strict=True):
        below += count
        if not count:
            continue
        bar = "#" * max(1, round(_BAR * count / total))
        lines.append(f"<= {end:>6g} ms {count:>9,} {100 * below / total:7.3f} %  {bar}")
    return lines
