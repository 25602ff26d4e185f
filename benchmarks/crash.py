"""The crash campaign: whatever happens to a run, its results are those of a run in peace.

Ticks and daily events are fed to real Kafka while ``headrace run`` of market, models and history
work on them, with everything of market switched on. Processes are killed and servers go away on
the way. In the end the tables of PostgreSQL, the hashes and streams of Redis, what a plain consumer
finds in each output topic and the exported files must equal those of a run without incident, and
the files those of ``headrace replay``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from benchmarks.everything import CLOSES, EVERYTHING, INPUTS, PORTFOLIOS, portfolios, sessions
from benchmarks.held import EXPORTED, Arrival, Held, arrival, differences, files, held, skipped
from benchmarks.incidents import (
    Act,
    drain,
    kill_at_work,
    kill_broker,
    kill_flow,
    kill_supervisor,
    kill_worker,
    stop_postgres,
    stop_redis,
)
from benchmarks.rig import Rig
from benchmarks.trial import FLOWS, Incident, Trial
from replay.market.session import SESSION_START_NS, Session, record_session
from replay.recording import Recording
from replay.writer import RecordingWriter, rows_content
from state.clock import NS
from state.errors import HeadraceError

EPOCH_S = 0.2
PARTITIONS = 4
DURATION_NS = 1200 * NS
"""The session's event time: short, so that most of the ticks end a bar."""
SESSIONS = 60
"""Days of daily events, which come spread over the ticks."""
FIRST, LAST = 0.05, 0.9
"""Where the first and the last point of a run may be, as shares of the input."""
POINTS_PER_RUN = 10
DOWN_S = 15.0
VICTIMS = ("worker", "flow", "supervisor", "history", "models")
WEIGHTS = (4, 2, 2, 2, 2)
AGAIN = 0.25
"""The share of points that lie in a flow's start instead of its work."""
LONGEST_START_S = 5.0
SETTINGS = {
    **EVERYTHING,
    "HEADRACE_MARKET__CALENDAR": "XNYS",
    "HEADRACE_RUN__EPOCH": f"{EPOCH_S * 1000:.0f}ms",
    "HEADRACE_RUN__RESTARTS": "1000",
    # A drain that gives up loses nothing, but is no clean end; a starved broker may take long.
    "HEADRACE_RUN__DRAIN": "120s",
    "HEADRACE_REDIS__STREAM_LENGTH": "10000000",
    "HEADRACE_MARKET__RISK__INTERVAL": "1s",
    "HEADRACE_MARKET__RISK__MIN_OBSERVATIONS": "5",
    "HEADRACE_MARKET__PORTFOLIOS": (
        '{"head": {"SIM0000": 0.6, "SIM0001": 0.4}, '
        '"spread": {"SIM0000": 0.5, "SIM0002": -0.3, "SIM0005": 0.2}}'
    ),
}

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
    """Runs over one recording in a directory; each on servers of its own."""

    def __init__(self, directory: Path, seed: int, count: int = 40_000) -> None:
        self._directory = directory
        self._recordings = [directory / "ticks.parquet", directory / "events.parquet"]
        self._runs = 0
        self._expected: Held | None = None
        session = Session(seed, count, partitions=PARTITIONS, duration_ns=DURATION_NS)
        record_session(session, self._recordings[0])
        _record_events(seed, self._recordings[1])
        self._count = len(Recording(self._recordings))

    def reference(self, incidents: Sequence[Incident] = ()) -> Result:
        """Run in peace, but for ``incidents``; what it leaves all other runs must leave.

        The files that it exports are compared with those of a replay.
        """
        with self._rig() as rig:
            with self._trial(rig) as trial:
                for incident in incidents:
                    incident.happen(trial)
                trial.finish()
            self._expected = held(rig, rig.directory / "export")
            replayed = rig.directory / "replay"
            rig.headrace("replay", "market", *map(str, self._recordings), "--out", str(replayed))
            exported = {p: x for p, x in self._expected.items() if p.startswith(EXPORTED)}
            return Result(differences(files(replayed), exported), _skipped(rig))

    def run(self, incidents: Sequence[Incident], tell: Tell, workers: int = 1) -> Result:
        """Run with incidents, telling of each; compare with the reference."""
        assert self._expected is not None, "reference() comes first"
        with self._rig() as rig:
            try:
                with self._trial(rig, workers) as trial:
                    for incident in incidents:
                        tell(incident.happen(trial))
                    trial.finish()
                found = held(rig, rig.directory / "export")
            except HeadraceError as error:
                return Result([str(error)])
            came = arrival(rig)
            if came.is_faithful(self._count):
                return Result(differences(self._expected, found), _skipped(rig))
            return Result(_against_replay(rig, found), _skipped(rig), came)

    def emptied(self) -> Result:
        """Empty Redis in the middle of a run: the flow has to stop and to say so."""
        with self._rig() as rig, self._trial(rig, flows=("market",)) as trial:
            trial.reach(0.3)
            with redis.Redis(port=rig.valkey.port) as client:
                client.flushall()
            trial.feed.gate.allow(trial.feed.count)  # only a flow that writes can miss its writes
            code, said = trial.flows["market"].wait(), trial.flows["market"].said()
        told = "redis has lost writes" in said
        return Result([] if code == 1 and told else [f"ended with code {code}: {said}"])

    def _rig(self) -> Rig:
        self._runs += 1
        return Rig(self._directory / str(self._runs), SETTINGS)

    @contextmanager
    def _trial(self, rig: Rig, workers: int = 1, flows: tuple[str, ...] = FLOWS) -> Iterator[Trial]:
        """Yield a trial that feeds nothing more at the end, whatever happened."""
        trial = Trial(rig, self._recordings, PARTITIONS, workers, flows)
        try:
            yield trial
        finally:
            trial.feed.stop()


def _skipped(rig: Rig) -> int:
    return sum(skipped(rig.directory / f"{flow}.log") for flow in ("market", "models"))


def _against_replay(rig: Rig, found: Held) -> list[str]:
    """Return what differs between the exported files and a replay of what the topics hold."""
    taken, replayed = rig.directory / "taken.parquet", rig.directory / "replay"
    rig.headrace("record", *INPUTS, "--out", str(taken))
    rig.headrace("replay", "market", str(taken), "--out", str(replayed))
    exported = {part: lines for part, lines in found.items() if part.startswith(EXPORTED)}
    return differences(files(replayed), exported)


def _record_events(seed: int, path: Path) -> None:
    """Write daily events of the year before, which come one after another among the ticks."""
    step_ns = DURATION_NS // SESSIONS
    made = {
        PORTFOLIOS: [m._replace(timestamp_ns=SESSION_START_NS) for m in portfolios()],
        CLOSES: [
            message._replace(timestamp_ns=SESSION_START_NS + day * step_ns)
            for day, message in enumerate(sessions(seed, SESSIONS))
        ],
    }
    with RecordingWriter(path, dict.fromkeys(made, 1)) as writer:
        for topic, messages in made.items():
            writer.write(topic, 0, rows_content(messages))


@dataclass(frozen=True)
class Plan:
    """One run of the campaign."""

    workers: int
    points: list[Incident]


def plans(seed: int, points: int, long_downs: int) -> Iterator[Plan]:
    """Yield runs with so many kill points in all, every second run with two workers.

    At ``long_downs`` points all of market is down for `DOWN_S`.
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


def point(rng: random.Random, at: float, *, down: bool) -> Incident:
    """Return the death of a process, at work or in a start; ``down``: all of market, for long."""
    (victim,) = rng.choices(VICTIMS, WEIGHTS)
    index, jitter_s = rng.randrange(8), rng.uniform(0, EPOCH_S)
    after_s = rng.uniform(0, LONGEST_START_S) if rng.random() < AGAIN else None
    if down:
        name = f"market killed and down for {DOWN_S:g} s"
        return Incident(name, kill_flow("market", DOWN_S), at, jitter_s)
    acts: dict[str, tuple[str, Act]] = {
        "worker": ("a worker killed", kill_worker(index)),
        "flow": ("market killed", kill_flow("market")),
        "supervisor": ("market's supervisor killed", kill_supervisor()),
        "history": ("history killed", kill_flow("history")),
        "models": ("models killed", kill_flow("models")),
    }
    name, act = acts[victim]
    return Incident(name, act, at, jitter_s, after_s)


def outages(down_s: float) -> list[Incident]:
    """Return an outage of each server, one after another."""
    return [
        Incident(f"the broker killed and down for {down_s:g} s", kill_broker(down_s), 0.1),
        Incident(f"Redis stopped for {down_s:g} s", stop_redis(down_s), 0.35),
        Incident(f"PostgreSQL stopped for {down_s:g} s", stop_postgres(down_s), 0.6),
    ]


def one_of_two() -> list[Incident]:
    """Return the deaths of either worker of two; for a run with two."""
    return [
        Incident(f"worker {index} of two killed", kill_worker(index), 0.3 + 0.3 * index)
        for index in range(2)
    ]


def at_work() -> Incident:
    """Return deaths of workers, as many as it takes until one has work to do again."""
    return Incident("market killed at work", kill_at_work(), 0.5)


def drains() -> list[Incident]:
    """Return two stops by SIGTERM; nothing may be worked on twice then."""
    return [Incident("market drained", drain(), at, EPOCH_S / 2) for at in (0.3, 0.6)]
