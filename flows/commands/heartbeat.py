"""``headrace heartbeat``: time records for idle partitions.

A partition without messages would hold back what combines partitions. A heartbeat moves
its watermark to the wall clock.
"""

from __future__ import annotations

import argparse
import signal
import threading
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connectors.kafka.client import Cluster
from connectors.kafka.topics import offset_bounds
from flows.config import add_config_argument, load_settings
from flows.engine.cluster import cluster_of
from state.clock import now_ns
from state.errors import Broken, Misuse
from state.records import heartbeat_header

FLUSH_S = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the topics and the pace."""
    parser.add_argument("topics", nargs="+", metavar="TOPIC")
    parser.add_argument("--every", type=float, default=1.0, metavar="S", help="seconds (1)")
    parser.add_argument("--once", action="store_true", help="one to every partition, then end")
    add_config_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Write until told to stop."""
    if not args.every > 0:
        raise Misuse("--every must be above 0 seconds")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    hearts = [Heart(cluster_of(load_settings(args.config).kafka), topic) for topic in args.topics]
    while True:
        for heart in hearts:
            heart.beat(everywhere=args.once)
        if args.once or stop.wait(args.every):
            return 0


@dataclass
class Heart:
    """Writes heartbeats to one topic."""

    cluster: Cluster
    topic: str
    _ends: dict[int, int] = field(default_factory=dict)
    _failed: list[KafkaError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._producer: Producer = self.cluster.producer(self._refused, self._failed.append)

    def beat(self, *, everywhere: bool = False) -> list[int]:
        """Write to the partitions that got nothing since the last beat; return which.

        A partition that is fed moves by itself, and must not be moved past what is on
        its way to it. Raises Broken where the broker refuses or does not answer.
        """
        before = self._ends
        ends = {
            partition: high
            for partition, (_, high) in offset_bounds(self.cluster, self.topic).items()
        }
        idle = [p for p, end in ends.items() if everywhere or before.get(p) == end]
        time_ns = now_ns()
        for partition in idle:
            self._produce(partition, time_ns)
        if self._producer.flush(FLUSH_S) or self._failed:
            reason = self._failed[0].str() if self._failed else "no answer"
            raise Broken(f"no heartbeat could be written to {self.topic}: {reason}")
        self._ends = ends | {p: ends[p] + 1 for p in idle}
        return idle

    def _produce(self, partition: int, time_ns: int) -> None:
        header = heartbeat_header(time_ns)
        try:
            self._producer.produce(
                self.topic,
                b"",
                partition=partition,
                timestamp=time_ns // 1_000_000,
                headers=[header],
            )
        except KafkaException as error:
            raise Broken(f"no heartbeat could be written to {self.topic}: {error}") from None

    def _refused(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failed.append(error)
