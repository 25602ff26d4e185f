"""A worker's Prometheus text into the figures of the health tab."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True)
class Figures:
    """What one scrape says; counters are totals since the worker started."""

    worker: dict[tuple[str, ...], float] = field(default_factory=dict)
    """(flow, index): one at the most, which says who was scraped."""
    lag: dict[tuple[str, ...], float] = field(default_factory=dict)
    """(topic, partition) -> messages."""
    watermark_delay_s: dict[tuple[str, ...], float] = field(default_factory=dict)
    """(topic, partition)"""
    stalled: dict[tuple[str, ...], float] = field(default_factory=dict)
    """(topic, partition) -> 1 where it holds the others back."""
    latency: dict[tuple[str, ...], float] = field(default_factory=dict)
    """(sink, upper bound in seconds) -> records at or below it."""
    records: dict[tuple[str, ...], float] = field(default_factory=dict)
    """(topic,) -> records decoded."""
    late: dict[tuple[str, ...], float] = field(default_factory=dict)
    """(topic,)"""
    dead: dict[tuple[str, ...], float] = field(default_factory=dict)
    """(topic, error) -> letters."""
    waiting: dict[tuple[str, ...], float] = field(default_factory=dict)
    """(sink,) -> 1 where the flow waits for it."""

    def buckets(self, sink: str) -> list[tuple[float, float]]:
        """Return (upper bound, records at or below it) of a sink's latency, growing."""
        return sorted((float(le), n) for (name, le), n in self.latency.items() if name == sink)


SAMPLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "headrace_worker": ("worker", ("flow", "index")),
    "headrace_consumer_lag": ("lag", ("topic", "partition")),
    "headrace_watermark_delay_seconds": ("watermark_delay_s", ("topic", "partition")),
    "headrace_partition_stalled": ("stalled", ("topic", "partition")),
    "headrace_latency_seconds_bucket": ("latency", ("sink", "le")),
    "headrace_records_total": ("records", ("topic",)),
    "headrace_late_total": ("late", ("topic",)),
    "headrace_dead_total": ("dead", ("topic", "error")),
    "headrace_sink_waiting": ("waiting", ("sink",)),
}
"""Name of a sample -> the figure, and the labels that tell its values apart (state.metrics)."""


def parse(text: str) -> Figures:
    """Return the figures of a scrape. Raises ValueError where it is no Prometheus text."""
    figures = Figures()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in SAMPLES:
                figure, labels = SAMPLES[sample.name]
                key = tuple(sample.labels.get(label, "") for label in labels)
                getattr(figures, figure)[key] = sample.value
    return figures


def quantile(buckets: Sequence[tuple[float, float]], q: float) -> float | None:
    """Return a quantile by linear interpolation inside its bucket; None where nothing counted.

    ``buckets`` are (upper bound, count at or below), growing, the last bound infinite. What lies
    above the last finite bound is told as that bound. Source: Prometheus, histogram_quantile.
    """
    total = buckets[-1][1] if buckets else 0.0
    if total <= 0:
        return None
    rank, low, below = q * total, 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            if bound == float("inf"):
                return low
            return low + (bound - low) * (rank - below) / (count - below) if count > below else low
        low, below = bound, count
    return low


def since(
    now: Sequence[tuple[float, float]], before: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    """Return what a histogram counted since an earlier scrape; all, where it began anew."""
    earlier = dict(before)
    moved = [(bound, count - earlier.get(bound, 0.0)) for bound, count in now]
    return list(now) if any(count < 0 for _, count in moved) else moved


def told(now: Figures, before: Figures | None, seconds: float) -> dict[str, Any]:
    """Return the figures as JSON; rates and quantiles are of the ``seconds`` since ``before``.

    Without ``before`` there are no rates, and the quantiles are of all since the start.
    """
    then = before or Figures()
    sinks = sorted({sink for sink, _ in now.latency})
    return {
        **next((dict(zip(("flow", "index"), who, strict=True)) for who in now.worker), {}),
        "lag": _listed(now.lag, ("topic", "partition", "messages")),
        "watermark_delay": _listed(now.watermark_delay_s, ("topic", "partition", "seconds")),
        "stalled": [{"topic": t, "partition": p} for (t, p), n in sorted(now.stalled.items()) if n],
        "waiting": [sink for (sink,), n in sorted(now.waiting.items()) if n],
        "latency": [_latency(sink, now.buckets(sink), then.buckets(sink)) for sink in sinks],
        "throughput": [
            {
                "topic": topic,
                "total": total,
                "per_second": _rate(total, then.records.get((topic,), 0.0), seconds)
                if before
                else None,
            }
            for (topic,), total in sorted(now.records.items())
        ],
        "late": _listed(now.late, ("topic", "total")),
        "dead": _listed(now.dead, ("topic", "error", "total")),
    }


def _listed(found: Mapping[tuple[str, ...], float], names: Sequence[str]) -> list[dict[str, Any]]:
    return [dict(zip(names, (*key, n), strict=True)) for key, n in sorted(found.items())]


def _latency(
    sink: str, now: Sequence[tuple[float, float]], before: Sequence[tuple[float, float]]
) -> dict[str, Any]:
    recent = since(now, before)
    return {
        "sink": sink,
        "count": recent[-1][1],
        "p50_s": quantile(recent, 0.5),
        "p99_s": quantile(recent, 0.99),
        "buckets": [{"le": b if b != float("inf") else None, "count": n} for b, n in now],
    }


def _rate(total: float, before: float, seconds: float) -> float | None:
    """Return how many a second, all of it where the worker began anew; None for no time."""
    if seconds <= 0:
        return None
    return (total if total < before else total - before) / seconds
