"""The crash campaign of market: what is fed, what happens, and when.

Ticks and daily events are fed to real Kafka while ``headrace run`` of market, models and history
work on them, with everything of market switched on. Processes are killed and servers go away on
the way.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.campaign import Campaign, Plan, planned
from benchmarks.everything import CLOSES, EVERYTHING, INPUTS, PORTFOLIOS, portfolios, sessions
from benchmarks.feed import Feed
from benchmarks.held import Arrival, arrival
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
from benchmarks.subject import Subject
from benchmarks.trial import Incident
from flows.market.models import REQUESTS
from flows.market.settings import MODELS
from replay.market.session import SESSION_START_NS, Session, record_session
from replay.writer import RecordingWriter, rows_content
from state.clock import NS
from state.market.outputs import MARKET

EPOCH_S = 0.2
PARTITIONS = 4
DURATION_NS = 1200 * NS
"""The session's event time: short, so that most of the ticks end a bar."""
SESSIONS = 60
"""Days of daily events, which come spread over the ticks."""
RATE = 2_500
"""Messages a second: slow enough for an incident to happen where it was meant to."""
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


def campaign(directory: Path, seed: int, count: int) -> Campaign:
    """Return a campaign over a session of so many ticks, and daily events."""
    ticks, events = directory / "ticks.parquet", directory / "events.parquet"
    session = Session(seed, count, partitions=PARTITIONS, duration_ns=DURATION_NS)
    record_session(session, ticks)
    _record_events(seed, events)
    return Campaign(SUBJECT, [ticks, events], directory)


def _source(rig: Rig, recordings: Sequence[Path]) -> Feed:
    return Feed(recordings, rig.cluster, RATE).start()


def _arrival(rig: Rig, _: Sequence[Path]) -> Arrival:
    return arrival(rig, INPUTS)


SUBJECT = Subject(
    "market",
    flows=("market", "models", "history"),
    inputs=INPUTS,
    outputs=MARKET,  # nobody trades
    settings=SETTINGS,
    make_topics=lambda rig: rig.make_topics(PARTITIONS),
    source=_source,
    arrival=_arrival,
    asked=REQUESTS,
    answered=MODELS,
)


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


def plans(seed: int, points: int, long_downs: int) -> Iterator[Plan]:
    """Yield runs with so many kill points in all; at ``long_downs`` of them all of market is down.

    That takes `DOWN_S`.
    """
    return planned(seed, points, long_downs, point)


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
