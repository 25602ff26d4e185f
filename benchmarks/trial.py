"""A run of market, models and history on a rig, fed with recordings, to which things happen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.everything import INPUTS
from benchmarks.feed import Feed
from benchmarks.rig import FlowRun, Rig, eventually
from flows.market.models import REQUESTS
from flows.market.settings import MODELS
from state.errors import Broken
from state.market.outputs import MARKET

FLOWS = ("market", "models", "history")
KEPT = [output.topic for output in MARKET]
"""The topics that history reads here, where nobody trades."""
RATE = 2_500
"""Messages a second: slow enough for an incident to happen where it was meant to."""
BACKLOG = 500
"""How many messages come while a flow is down."""


class Trial:
    """The flows, the feed, and where they are."""

    def __init__(
        self,
        rig: Rig,
        recordings: Sequence[Path],
        partitions: int,
        workers: int = 1,
        flows: tuple[str, ...] = FLOWS,
    ) -> None:
        self.rig = rig
        rig.make_topics(partitions)
        self.feed = Feed(recordings, rig.cluster, RATE).start()
        self._workers = workers
        self.flows = {name: self._start(name) for name in flows}
        self._disturbed = time.monotonic()

    def restart(self, name: str) -> None:
        """Start a flow again that was killed or drained."""
        self.flows[name] = self._start(name)
        self.disturbed()

    def disturbed(self) -> None:
        """Note that a flow begins anew: the feed goes on for a while, as it would."""
        self._disturbed = time.monotonic()
        self.feed.gate.allow_more(BACKLOG)

    def since_disturbed(self) -> float:
        """Return how many seconds ago a flow last began anew."""
        return time.monotonic() - self._disturbed

    def reach(self, share: float) -> None:
        """Return when so much of the input, and something new, is behind a durable snapshot."""
        self.caught_up()
        wanted = max(int(share * self.feed.count), self.consumed() + 1)
        wanted = min(wanted, self.feed.count)
        # Not all that there is: a fast flow would be through with it before an incident begins.
        self.feed.gate.allow(min(wanted + BACKLOG, self.feed.count))
        self.until(f"{share:.0%} of the input", lambda: self.consumed() >= wanted)

    def consumed(self) -> int:
        """Return how many messages are behind a durable snapshot of market."""
        return self.rig.consumed("market", *INPUTS)

    def market_caught_up(self) -> bool:
        """Say whether all the input that there is, is behind a durable snapshot of market."""
        return (
            self.feed.settled()
            and self.consumed() == self.rig.produced(*INPUTS)
            and ("models" not in self.flows or self._answered())
        )

    def _answered(self) -> bool:
        """Say whether every request is answered, and every answer has had its effect.

        An answer may lead to the next request: so there must be none behind the last answer.
        """
        asked = self.rig.produced(REQUESTS)
        return (
            self.rig.consumed("models", REQUESTS) == asked
            and self.rig.consumed("market", MODELS) == self.rig.produced(MODELS)
            and self.rig.produced(REQUESTS) == asked
        )

    def caught_up(self) -> None:
        """Return when the flows have worked off what the gate has let pass."""
        self.until("the feed", self.feed.settled)
        self.until("market catches up", self.market_caught_up)
        if "history" in self.flows:
            self.until(
                "history catches up",
                lambda: self.rig.consumed("history", *KEPT) == self.rig.produced(*KEPT),
            )

    def until(self, what: str, fact: Callable[[], bool]) -> None:
        """Return when ``fact()`` is true; raises Broken where a flow or the feed ends before."""

        def checked() -> bool:
            for flow in self.flows.values():
                flow.check()
            self.feed.check()
            return fact()

        eventually(what, checked)

    def finish(self) -> None:
        """Feed the rest, wait for its results, and drain the flows."""
        self.feed.finish()
        self.caught_up()
        for name in self.flows:
            self.drain(name)

    def drain(self, name: str) -> None:
        """Stop a flow as an operator would; raises Broken where it does not say that it is done."""
        # A supervisor that has just begun has nothing to drain, and ends by the signal itself.
        eventually(f"the workers of {name}", self.flows[name].workers)
        if code := self.flows[name].drain():
            raise Broken(f"{name} drained with code {code}: {self.flows[name].said()}")

    def _start(self, name: str) -> FlowRun:
        words = ("--workers", str(self._workers)) if name == "market" else ()
        return self.rig.start(name, *words)


@dataclass(frozen=True)
class Incident:
    """Something that happens once ``at`` of the input is worked off, and ``jitter_s`` later.

    With ``after_s`` it happens instead so long after a flow last began anew, wherever
    that flow is by then: in the middle of its recovery, say.
    """

    name: str
    act: Callable[[Trial], None]
    at: float = 0.0
    jitter_s: float = 0.0
    after_s: float | None = None

    def happen(self, trial: Trial) -> str:
        """Wait for the moment, act, and return what happened and where."""
        if self.after_s is None:
            trial.reach(self.at)
            time.sleep(self.jitter_s)
            consumed, produced = trial.consumed(), trial.rig.produced(*INPUTS)
            share = consumed / trial.feed.count
            when = f"{share:.1%} of the input, {produced - consumed:,} messages under way"
        else:
            time.sleep(max(0.0, self.after_s - trial.since_disturbed()))
            when = f"{trial.since_disturbed():.1f} s after the last start"
        self.act(trial)
        return f"{self.name}, {when}"
