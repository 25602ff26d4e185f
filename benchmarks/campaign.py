"""Runs of the crash campaign, and how they are judged: by a run in peace, and by a replay.

In the end the tables of PostgreSQL, the hashes and streams of Redis, what a plain consumer finds in
each output topic and the exported files must equal those of a run without incident, and the files
those of ``headrace replay``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from benchmarks.held import EXPORTED, Arrival, Held, differences, files, held, skipped
from benchmarks.rig import Rig
from benchmarks.subject import Subject
from benchmarks.trial import Incident, Trial
from replay.recording import Recording
from state.errors import HeadraceError

FIRST, LAST = 0.05, 0.9
"""Where the first and the last point of a run may be, as shares of the input."""
POINTS_PER_RUN = 10
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """What came of a run: ``faults`` is empty where all was as it had to be."""

    faults: list[str]
    skipped: int = 0
    """How many records restarts found in their topics, and did not write again."""
    arrival: Arrival | None = None
    """Set where the topics did not hold the recordings, so that a replay of the topics was the
    measure of the exported files, and nothing the measure of the other parts."""


class Campaign:
    """Runs of one system over recordings, in a directory; each on servers of its own."""

    def __init__(self, subject: Subject, recordings: Sequence[Path], directory: Path) -> None:
        self._subject = subject
        self._directory = directory
        self._recordings = recordings
        self._runs = 0
        self.expected: Held = {}
        """What the run in peace has left."""
        self._count = len(Recording(recordings))

    def reference(self, incidents: Sequence[Incident] = ()) -> Result:
        """Run in peace, but for ``incidents``; what it leaves all other runs must leave.

        The files that it exports are compared with those of a replay.
        """
        with self._rig() as rig:
            with self._trial(rig) as trial:
                for incident in incidents:
                    incident.happen(trial)
                trial.finish()
            self.expected = held(rig, self._subject, rig.directory / "export")
            replayed = rig.directory / "replay"
            rig.headrace(
                "replay", self._system, *map(str, self._recordings), "--out", str(replayed)
            )
            exported = {p: x for p, x in self.expected.items() if p.startswith(EXPORTED)}
            return Result(differences(files(replayed), exported), self._skipped(rig))

    def run(self, incidents: Sequence[Incident], tell: Tell, workers: int = 1) -> Result:
        """Run with incidents, telling of each; compare with the reference."""
        assert self.expected, "reference() comes first"
        with self._rig() as rig:
            try:
                with self._trial(rig, workers) as trial:
                    for incident in incidents:
                        tell(incident.happen(trial))
                    trial.finish()
                found = held(rig, self._subject, rig.directory / "export")
            except HeadraceError as error:
                return Result([str(error)])
            came = self._subject.arrival(rig, self._recordings)
            if came.is_faithful(self._count):
                return Result(differences(self.expected, found), self._skipped(rig))
            faults = self._against_replay(rig, found)
            if came.lost:
                faults.append(f"{came.lost} messages were acknowledged and are nowhere")
            return Result(faults, self._skipped(rig), came)

    def emptied(self) -> Result:
        """Empty Redis in the middle of a run: the flow has to stop and to say so."""
        with self._rig() as rig, self._trial(rig, flows=(self._system,)) as trial:
            trial.reach(0.3)
            with redis.Redis(port=rig.valkey.port) as client:
                client.flushall()
            trial.feed.gate.allow(trial.feed.count)  # only a flow that writes can miss its writes
            code, said = trial.main.wait(), trial.main.said()
        told = "redis has lost writes" in said
        return Result([] if code == 1 and told else [f"ended with code {code}: {said}"])

    def _rig(self) -> Rig:
        self._runs += 1
        return Rig(self._directory / str(self._runs), self._subject.settings)

    @contextmanager
    def _trial(
        self, rig: Rig, workers: int = 1, flows: tuple[str, ...] | None = None
    ) -> Iterator[Trial]:
        """Yield a trial that feeds nothing more at the end, whatever happened."""
        trial = Trial(rig, self._subject, self._recordings, workers, flows)
        try:
            yield trial
        finally:
            trial.feed.stop()

    def _skipped(self, rig: Rig) -> int:
        flows = (each for each in self._subject.flows if each != "history")
        return sum(skipped(rig.directory / f"{flow}.log") for flow in flows)

    def _against_replay(self, rig: Rig, found: Held) -> list[str]:
        """Return what differs between the exported files and a replay of what the topics hold."""
        taken, replayed = rig.directory / "taken.parquet", rig.directory / "replay"
        rig.headrace("record", *self._subject.inputs, "--out", str(taken))
        rig.headrace("replay", self._system, str(taken), "--out", str(replayed))
        exported = {part: lines for part, lines in found.items() if part.startswith(EXPORTED)}
        return differences(files(replayed), exported)

    @property
    def _system(self) -> str:
        return self._subject.system


@dataclass(frozen=True)
class Plan:
    """One run of the campaign."""

    workers: int
    points: list[Incident]


def planned(
    seed: int, points: int, long_downs: int, point: Callable[..., Incident]
) -> Iterator[Plan]:
    """Yield runs with so many kill points in all, every second run with two workers.

    ``point(rng, at, down=...)`` returns one; at ``long_downs`` of them, something is down for long.
    """
    rng = random.Random(seed)
    long = set(rng.sample(range(points), min(long_downs, points)))
    for run, first in enumerate(range(0, points, POINTS_PER_RUN)):
        numbers = range(first, min(first + POINTS_PER_RUN, points))
        spacing = (LAST - FIRST) / len(numbers)
        yield Plan(
            1 + run % 2,
            [
                point(rng, FIRST + (place + rng.random()) * spacing, down=number in long)
                for place, number in enumerate(numbers)
            ],
        )
