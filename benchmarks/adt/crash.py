"""The crash campaign of patient care: listener, flow and history are killed on the way.

Messages of simulated hospitals come through the real listener. Their senders send again what was
not answered. Each hospital has a partition and one message under way at a time, so that a run in
peace has the messages in the same order.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from benchmarks.adt.listener import KEPT, settings
from benchmarks.adt.senders import Senders, arrival
from benchmarks.campaign import Campaign, Plan, planned
from benchmarks.incidents import Act, kill_flow, kill_supervisor, kill_worker
from benchmarks.rig import PATIENCE_S, Rig
from benchmarks.subject import Subject
from benchmarks.trial import Incident, Trial
from connectors.adt.envelope import TOPIC
from connectors.kafka.topics import ensure_topics
from flows.engine.ports import free_port
from flows.engine.systems import output_topic
from replay.adt.hospital import Hospital
from replay.adt.segments import FACILITY
from replay.adt.sending import Sent, sent
from replay.message import Message
from replay.partitioner import partition_of
from replay.sealed import PLAINTEXT
from replay.writer import RecordingWriter, rows_content
from state.adt.outputs import OUTPUTS
from state.errors import Broken
from state.outputs import DEAD

PARTITIONS = 3
EPOCH_S = 0.2
DOWN_S = 15.0
LISTENER = "mllp"
VICTIMS = ("listener", "unanswered", "worker", "flow", "supervisor", "history")
WEIGHTS = (3, 3, 3, 2, 1, 2)
AGAIN = 0.2
"""The share of points that lie in a flow's start instead of its work."""
LONGEST_START_S = 5.0
TRIES = 20
TAKEN_S = 0.3
"""By then senders have taken what a killed listener had answered, and send nothing again yet."""
LOOK_S = 0.001
WHILE = 30
"""How many messages come before a listener is killed that has stored what it has not answered."""


def campaign(directory: Path, seed: int, messages: int) -> Campaign:
    """Return a campaign over so many messages of as many hospitals as there are partitions."""
    path = directory / "messages.parquet"
    with RecordingWriter(path, {TOPIC: PARTITIONS}, PLAINTEXT) as writer:
        for partition, name in enumerate(_facilities()):
            made = _messages(seed * PARTITIONS + partition, messages // PARTITIONS, name)
            numbered = [
                Message(TOPIC, partition, offset, each.timestamp_ns, name, each.value)
                for offset, each in enumerate(made)
            ]
            writer.write(TOPIC, partition, rows_content(numbered))
    return Campaign(_subject(free_port(), messages), [path], directory)


def _facilities() -> list[bytes]:
    """Return the name of a hospital for each partition, which its messages go to."""
    found: dict[int, bytes] = {}
    for number in count():
        name = b"GH%d" % number
        found.setdefault(partition_of(name, PARTITIONS), name)
        if len(found) == PARTITIONS:
            return [found[partition] for partition in range(PARTITIONS)]
    raise AssertionError("numbers do not end")


def _messages(seed: int, number: int, name: bytes) -> list[Sent]:
    """Return messages of a hospital of this name as they arrive, none with the same bytes twice."""
    made = {
        value: each._replace(value=value)
        for each in sent(Hospital(seed), seed, number)
        for value in [each.value.replace(FACILITY.encode(), name)]
    }
    return list(made.values())


def _subject(port: int, messages: int) -> Subject:
    """Return patient care with its listener on a port; a run has so many messages."""
    return Subject(
        "adt",
        flows=("adt", "history"),
        inputs=(TOPIC,),
        outputs=OUTPUTS,
        settings={
            **settings(port),
            "HEADRACE_RUN__EPOCH": f"{EPOCH_S * 1000:.0f}ms",
            "HEADRACE_RUN__RESTARTS": "1000",
            "HEADRACE_RUN__DRAIN": "120s",  # a starved broker may take long
            "HEADRACE_REDIS__STREAM_LENGTH": "10000000",
        },
        make_topics=_make_topics,
        source=lambda _, recordings: Senders(recordings, port).start(),
        arrival=arrival,
        backlog=messages // 100,
        ahead=messages // 24,
        listener=LISTENER,
    )


def _make_topics(rig: Rig) -> None:
    names = [output.name for output in OUTPUTS]
    topics = [TOPIC, *(output_topic("adt", name) for name in (*names, DEAD))]
    ensure_topics(rig.cluster, dict.fromkeys(topics, PARTITIONS), KEPT)


def plans(seed: int, points: int, long_downs: int) -> Iterator[Plan]:
    """Yield runs with so many kill points in all; at ``long_downs`` the listener is down for long.

    That takes `DOWN_S`.
    """
    return planned(seed, points, long_downs, point)


def point(rng: random.Random, at: float, *, down: bool) -> Incident:
    """Return the death of a process, at work or in a start; ``down``: of the listener, for long."""
    (victim,) = rng.choices(VICTIMS, WEIGHTS)
    index, jitter_s = rng.randrange(8), rng.uniform(0, EPOCH_S)
    after_s = rng.uniform(0, LONGEST_START_S) if rng.random() < AGAIN else None
    if down:
        name = f"the listener killed and down for {DOWN_S:g} s"
        return Incident(name, kill_flow(LISTENER, DOWN_S), at, jitter_s)
    acts: dict[str, tuple[str, Act]] = {
        "listener": ("the listener killed", kill_flow(LISTENER)),
        "unanswered": ("the listener killed between write and answer", kill_unanswered()),
        "worker": ("a worker killed", kill_worker(index)),
        "flow": ("adt killed", kill_flow("adt")),
        "supervisor": ("adt's supervisor killed", kill_supervisor()),
        "history": ("history killed", kill_flow("history")),
    }
    name, act = acts[victim]
    return Incident(name, act, at, jitter_s, after_s)


def kill_unanswered() -> Act:
    """Kill -9 listeners until one has stored a message that it has not answered."""

    def act(trial: Trial) -> None:
        feed = trial.feed
        assert isinstance(feed, Senders), "adt is fed by senders"
        for _ in range(TRIES):
            trial.until("the senders", feed.settled)
            if feed.accepted == feed.count:
                return  # nothing is left that could be under way
            accepted = feed.accepted
            feed.gate.allow_more(WHILE)
            _wait_for_more(feed, accepted)
            trial.flows[LISTENER].kill()
            time.sleep(TAKEN_S)
            unanswered = trial.produced() - feed.accepted
            trial.restart(LISTENER)
            if unanswered:
                return
        raise Broken(f"none of {TRIES} kills hit the listener between write and answer")

    return act


def _wait_for_more(feed: Senders, accepted: int) -> None:
    """Return as soon as one more is accepted: a moment later nothing may be under way."""
    deadline_s = time.monotonic() + PATIENCE_S
    while feed.accepted == accepted:
        feed.check()
        if time.monotonic() > deadline_s:
            raise Broken("a message is not answered")
        time.sleep(LOOK_S)
