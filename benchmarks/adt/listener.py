"""A rig on which the MLLP listener runs: its settings, its topic, and where it is reached."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.rig import FlowRun, Rig, eventually
from connectors.adt.envelope import TOPIC
from connectors.kafka.topics import ensure_topics
from flows.servers.process import connects
from state.sealing import Keyring

KEPT = {"retention.ms": "-1"}


def settings(port: int) -> Mapping[str, str]:
    """Return the settings of a rig whose listener has this port, with keys of its own."""
    return {
        "HEADRACE_SEALING__KEYS": Keyring.generate().text(),
        "HEADRACE_MLLP__PORT": str(port),
        "HEADRACE_MLLP__HTTP_PORT": "0",
    }


class Listening:
    """A listener on a rig; it is killed and started again on the same port."""

    def __init__(self, rig: Rig, port: int, partitions: int = 1) -> None:
        self.rig = rig
        self.port = port
        ensure_topics(rig.cluster, {TOPIC: partitions}, KEPT)
        self.run = self._start()

    def restart(self) -> None:
        """Start it again once it has been killed."""
        self.run = self._start()

    def _start(self) -> FlowRun:
        run = self.rig.start("mllp", command="ingest")

        def listens() -> bool:
            run.check()
            return connects(self.port)

        eventually("the listener", listens)
        return run
