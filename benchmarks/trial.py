"""A run of a system's flows and history on a rig, to which things happen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rig import FlowRun, Rig, eventually
from benchmarks.subject import Subject
from state.errors import Broken


class Trial:
    """The flows, the feed, and where they are."""

    def __init__(
        self,
        rig: Rig,
        subject: Subject,
        recordings: Sequence[Path],
        workers: int = 1,
        flows: tuple[str, ...] | None = None,
    ) -> None:
        self.rig = rig
        self.subject = subject
        subject.make_topics(rig)
        self.feed = subject.source(rig, recordings)
        self._workers = workers
        self._kept = [output.topic for output in subject.outputs]
        names = (*(flows or subject.flows), *([subject.listener] if subject.listener else ()))
        self.flows = {name: self._start(name) for name in names}
        self._disturbed = time.monotonic()

    @property
    def main(self) -> FlowRun:
        """The flow of the system itself."""
        return self.flows[self.subject.system]

    def restart(self, name: str) -> None:
        """Start a flow again that was killed or drained."""
        self.flows[name] = self._start(name)
        self.disturbed()

    def disturbed(self) -> None:
        """Note that a flow begins anew: the feed goes on for a while, as it would."""
        self._disturbed = time.monotonic()
        self.feed.gate.allow_more(self.subject.backlog)

    def since_disturbed(self) -> float:
        """Return how many seconds ago a flow last began anew."""
        return time.monotonic() - self._disturbed

    def reach(self, share: float) -> None:
        """Return when so much of the input, and something new, is behind a durable snapshot."""
        self.caught_up()
        wanted = max(int(share * self.feed.count), self.consumed() + 1)
        wanted = min(wanted, self.feed.count)
        # Not all that there is: a fast flow would be through with it before an incident begins.
        self.feed.gate.allow(min(wanted + self.subject.ahead, self.feed.count))
        self.until(f"{share:.0%} of the input", lambda: self.consumed() >= wanted)

    def consumed(self) -> int:
        """Return how many messages are behind a durable snapshot of the system."""
        return self.rig.consumed(self.subject.system, *self.subject.inputs)

    def produced(self) -> int:
        """Return how many messages its topics have got."""
        return self.rig.produced(*self.subject.inputs)

    def system_caught_up(self) -> bool:
        """Say whether all the input that there is, is behind a durable snapshot of the system."""
        return (
            self.feed.settled()
            and self.consumed() == self.produced()
            and ("models" not in self.flows or self._answered())
        )

    def _answered(self) -> bool:
        """Say whether every request is answered, and every answer has had its effect.

        An answer may lead to the next request: so there must be none behind the last answer.
        """
        rig, requests, answers = self.rig, self.subject.asked, self.subject.answered
        asked = rig.produced(requests)
        return (
            rig.consumed("models", requests) == asked
            and rig.consumed(self.subject.system, answers) == rig.produced(answers)
            and rig.produced(requests) == asked
        )

    def caught_up(self) -> None:
        """Return when the flows have worked off what the gate has let pass."""
        self.until("the feed", self.feed.settled)
        self.until(f"{self.subject.system} catches up", self.system_caught_up)
        if "history" in self.flows:
            self.until(
                "history catches up",
                lambda: self.rig.consumed("history", *self._kept) == self.rig.produced(*self._kept),
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
        if name != self.subject.listener:
            eventually(f"the workers of {name}", self.flows[name].workers)
        if code := self.flows[name].drain():
            raise Broken(f"{name} drained with code {code}: {self.flows[name].said()}")

    def _start(self, name: str) -> FlowRun:
        if name == self.subject.listener:
            return self.rig.start(name, command="ingest")
        words = ("--workers", str(self._workers)) if name == self.subject.system else ()
        return self.rig.start(name, *words)


AT_THE_END = ", with nothing left to come"


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
            consumed, produced = trial.consumed(), trial.produced()
            share = consumed / trial.feed.count
            when = f"{share:.1%} of the input, {produced - consumed:,} messages under way"
        else:
            time.sleep(max(0.0, self.after_s - trial.since_disturbed()))
            when = f"{trial.since_disturbed():.1f} s after the last start"
        if trial.feed.gate.passed()[0] == trial.feed.count:
            when += AT_THE_END
        self.act(trial)
        return f"{self.name}, {when}"
