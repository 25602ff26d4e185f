"""The feed beside a bare broadcast of the same bytes.

Both servers read the same stream at the same rate. What is compared is how many messages each
delivers for one second of its CPU, which other load on the machine does not change as it does
the clock.
"""

from __future__ import annotations

from benchmarks.report import Goal, Report
from benchmarks.web.rig import FEED, Load, Rig, Trial
from connectors.redis.keys import Keys

PART = "broadcast"
SATURATED = 0.7
GOAL = 0.7


def run(rig: Rig, load: Load, repeats: int, report: Report) -> None:
    """Measure both in turn, in an order that turns with the rounds, and report."""
    report.part(
        PART,
        f"{load.clients:,} clients of ten symbols each, {load.rate:,} updates/s",
        f"{load.seconds} s each, beside websockets.broadcast of the same bytes",
    )
    feeds, bares = measure(rig, load, repeats)
    for name, trials in (("feed", feeds), ("bare broadcast", bares)):
        _figures(name, trials, report)
    ratios = [_per_cpu_s(feed) / _per_cpu_s(bare) for feed, bare in zip(feeds, bares, strict=True)]
    report.figure(PART, "feed to bare, messages per CPU-second", "", ratios, Goal(GOAL))


def measure(rig: Rig, load: Load, repeats: int) -> tuple[list[Trial], list[Trial]]:
    """Return the trials of the feed and of the bare broadcast, round by round."""
    bare = ("-m", "benchmarks.web.bare", rig.url, Keys("market", 1).stream("nbbo"))
    found: dict[tuple[str, ...], list[Trial]] = {FEED: [], bare: []}
    for number in range(repeats):
        for words in (FEED, bare) if number % 2 == 0 else (bare, FEED):
            found[words].append(rig.trial(words, load))
    return found[FEED], found[bare]


def _per_cpu_s(trial: Trial) -> float:
    return trial.messages / trial.cpu_s


def _figures(name: str, trials: list[Trial], report: Report) -> None:
    shares = [trial.cpu_s / trial.seconds for trial in trials]
    rates = [trial.messages / trial.seconds for trial in trials]
    report.figure(PART, f"{name}: delivered", "messages/s", rates)
    report.figure(PART, f"{name}: per CPU-second", "messages", [_per_cpu_s(t) for t in trials])
    report.figure(PART, f"{name}: share of its core", "", shares, Goal(SATURATED, most=True))
    report.figure(PART, f"{name}: p50", "ms", [trial.p50_ms for trial in trials])
    report.figure(PART, f"{name}: p99", "ms", [trial.p99_ms for trial in trials])
    report.figure(PART, f"{name}: memory of a client", "B", [t.client_bytes for t in trials])
