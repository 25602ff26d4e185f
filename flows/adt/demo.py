"""Patient care's demo: a simulated hospital through the listener, seen on the page.

::

    simulate ── MLLP ── ingest mllp ── adt.raw ── run adt ── Redis ── feed ── page
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redis

from connectors.kafka.topics import ensure_topics, offset_bounds
from connectors.redis.keys import Keys
from flows.adt.settings import Adt
from flows.demo.child import Child
from flows.demo.stage import Stage, servers
from flows.demo.terminal import open_page, step
from flows.engine.ports import free_port
from flows.engine.systems import output_topic
from flows.keys import write_key_file
from state.adt.outputs import ANOMALIES, BEDS, LOCATION_VISITS, OUTPUTS
from state.outputs import DEAD
from state.sealing import Keyring

SYSTEM = "adt"
TOPIC = Adt().topic
SEED = "7"
SPEED = 300.0
LINE_S = 5.0
LOOK = """\
look at
  Wards    the beds of each ward, what needs a call, who waits for a bed; a bed opens its visit
  Visits   search for a number, such as V0000100: the timeline, and the messages behind it
  Changes  moves as they come; what is corrected later is struck out
patients are hidden until you turn "Show patients" on; three weeks come first, then it goes on"""


def run(args: argparse.Namespace, directory: Path, stop: threading.Event) -> int:
    """Run in ``directory`` until ``stop`` is set, or for a while; leave no process behind."""
    print("starting the servers and the page", flush=True)
    with hospital(directory, stop, args.speed or SPEED) as made:
        print(LOOK, flush=True)
        made.watch(args.seconds)
        drained = made.end()
        print(f"{made.figures()}; {'all drained' if drained else 'not all drained'}; "
              f"logs in {directory}")  # fmt: skip
    return 0 if drained else 1


class Hospital:
    """A demo that runs: its stage, its commands in the order in which they end."""

    def __init__(self, stage: Stage, stop: threading.Event, children: list[Child]) -> None:
        self.stage, self.children = stage, children
        self._stop = stop
        self._redis = redis.Redis(port=stage.servers.valkey.port)

    def watch(self, seconds: float | None) -> None:
        """Print figures until it is time to end; raises what a part of the demo died of."""
        end_s = time.monotonic() + seconds if seconds is not None else float("inf")
        while not self._stop.wait(max(0.0, min(LINE_S, end_s - time.monotonic()))):
            for child in self.children:
                child.check()
            print(self.figures(), flush=True)
            if time.monotonic() >= end_s:
                return

    def figures(self) -> str:
        """Return in words how much there is."""
        bounds = offset_bounds(self.stage.cluster(), TOPIC).values()
        messages = sum(end - begin for begin, end in bounds)
        keys = Keys(SYSTEM, 1)
        visits, beds, anomalies = (
            self._redis.hlen(keys.latest(output.name))
            for output in (LOCATION_VISITS, BEDS, ANOMALIES)
        )
        return f"{messages:,} messages: {visits:,} visits, {beds} beds, {anomalies} anomalies"

    def end(self) -> bool:
        """End the commands one after another; return whether all drained."""
        drained = [child.end() for child in self.children]  # each, whatever the one before did
        return all(drained)


@contextmanager
def hospital(directory: Path, stop: threading.Event, speed: float) -> Iterator[Hospital]:
    """Start everything in ``directory``, the page first, and yield it once messages come."""
    with servers(directory) as started, ExitStack() as stack:
        keys = directory.resolve() / "keys" / "adt.key"
        keys.parent.mkdir()
        write_key_file(keys, Keyring.generate())
        stage = Stage(directory.resolve(), started, _settings(keys))
        flow = stage.child("run", SYSTEM)
        gateway = stack.enter_context(stage.gateway([flow]))
        open_page(gateway, stop)
        with step(f"servers: {stage}"):
            stage.wait_for_servers()
        with step("topics"):
            _prepare_topics(stage)
        listener, sender = _listening(stage, speed)
        with step("flow and listener"):
            for child in (flow, listener):
                stack.enter_context(child)
            for child in (flow, listener):
                child.wait_until_ready(stop)
        stack.enter_context(sender)
        yield Hospital(stage, stop, [sender, listener, gateway, flow])


def _settings(keys: Path) -> dict[str, str]:
    return {
        "KAFKA__SHARDS": "1",
        "SEALING__KEYS_FILE": str(keys),
        "FEED__UNSEAL": "true",
        "FEED__AUDIT": str(keys.parent.with_name("audit") / "reads.jsonl"),
        "FEED__SYSTEMS": f'["{SYSTEM}"]',
    }


def _listening(stage: Stage, speed: float) -> tuple[Child, Child]:
    """Return the listener and who sends to it."""
    port = {"MLLP__PORT": str(free_port())}
    listener = stage.child("ingest", "mllp", more=port)
    listener.environment["HEADRACE_MLLP__HTTP_PORT"] = str(listener.http_port)
    words = ("simulate", SYSTEM, "--seed", SEED, "--mllp", "--speed", str(speed))
    return listener, stage.child(*words, more=port)


def _prepare_topics(stage: Stage) -> None:
    # The past is told under its own time only within the messages: Kafka's own is that of now.
    names = [TOPIC, *(output_topic(SYSTEM, each) for each in [*(o.name for o in OUTPUTS), DEAD])]
    ensure_topics(stage.cluster(), dict.fromkeys(names, 1))
