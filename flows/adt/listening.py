"""The MLLP listener as a whole: Kafka, what it remembers, its socket, made of the settings."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, nullcontext
from functools import partial

from connectors.adt.envelope import domain
from connectors.intake import Intake
from connectors.kafka.client import Cluster
from connectors.kafka.durable import DurableWriter
from connectors.kafka.tail import since
from connectors.kafka.topics import ensure_topics, offset_bounds
from connectors.mllp.connection import Limits
from connectors.mllp.listener import Listener, listen, server_context
from connectors.mllp.reception import Places, Policy, Reception
from connectors.repeats import Repeats, digest_of
from flows.adt.mllp_settings import Mllp
from flows.adt.settings import Adt
from flows.engine.cluster import cluster_of
from flows.engine.health import serving
from flows.engine.open_files import allow_connections
from flows.engine.sealed import seal_for
from flows.engine.systems import output_topic
from flows.settings.settings import Settings
from state.adt.outputs import OUTPUTS
from state.clock import MS, NS, now_ns
from state.errors import CannotUnseal
from state.lifecycle import Lifecycle
from state.outputs import DEAD
from state.sealed_values import ValueOpener

LOG = logging.getLogger("headrace.mllp")
SYSTEM = "adt"
LETTERS = 100_000
"""How many dead letters are known, so that what is sent again and again is kept once."""
LETTERS_S = 0.5
"""How long Kafka has at the end for dead letters that nobody waits for."""
LIVING_S = 1.0
LOOPBACK = ("127.0.0.1", "::1", "localhost")


async def serve(settings: Settings, stop: asyncio.Event, ready: Callable[[str], None]) -> None:
    """Serve until ``stop`` is set. ``ready`` is told the address once we listen.

    Raises Misuse where the settings cannot be served or Kafka has no topic of messages, and Broken
    where its producer can go on no more.
    """
    table, adt, cluster = settings.of(Mllp), settings.of(Adt), cluster_of(settings.kafka)
    places = Places(
        SYSTEM,
        adt.topic,
        output_topic(SYSTEM, DEAD),
        partial(domain, domains=adt.domains),
        settings.run.max_dead_bytes,
        seal_for(SYSTEM, OUTPUTS, settings),
    )
    tls = server_context(table.tls_certificate, table.tls_key, table.tls_ca)
    if tls is None and table.host not in LOOPBACK:
        LOG.warning("%s is reached by others, and mllp.tls_certificate is not set", table.host)
    allow_connections(table.max_connections, "mllp.max_connections")
    repeats = await asyncio.to_thread(_prepare, cluster, places, table)
    lifecycle = Lifecycle()
    with serving(table.http_port, lifecycle) if table.http_port else nullcontext():
        async with _writer(cluster) as writer:
            letters = Intake(writer, Repeats(table.dedupe_window, LETTERS))
            policy = Policy(table.validate_ids, table.always_accept)
            reception = Reception(Intake(writer, repeats), letters, places, policy, now_ns)
            listener = _listener(reception, table)
            sock = listen(table.host, table.port)
            await listener.open(sock, tls)
            host, port = sock.getsockname()[:2]
            ready(f"{'mllps' if tls else 'mllp'}://{host}:{port}")
            await _until(stop, writer, lifecycle)
            lifecycle.stopping.set()
            await listener.drain()


def _listener(reception: Reception, table: Mllp) -> Listener:
    limits = Limits(table.ack_timeout / NS, table.idle_timeout / NS, table.max_connections)
    processing = tuple(each.encode() for each in table.accept_processing)
    return Listener(reception, limits, now_ns, table.max_message, table.max_unanswered, processing)


def _prepare(cluster: Cluster, places: Places, table: Mllp) -> Repeats:
    """Make the topic of dead letters where it is missing; return what was stored lately."""
    partitions = len(offset_bounds(cluster, places.messages))
    ensure_topics(cluster, {places.letters: partitions})
    repeats = Repeats(table.dedupe_window, table.dedupe_most)
    repeats.restore(_stored(cluster, places, table))
    return repeats


def _stored(cluster: Cluster, places: Places, table: Mllp) -> Iterator[tuple[int, bytes]]:
    """Yield when each message was stored that the topic holds of the window, and its digest."""
    opener, closed = ValueOpener(places.seal), Counter[str]()
    start_ns = now_ns() - table.dedupe_window
    for message in since(cluster, places.messages, start_ns, table.dedupe_most):
        try:
            content = opener.open(places.messages, message.value() or b"")
        except CannotUnseal as error:
            closed[str(error)] += 1
        else:
            yield message.timestamp()[1] * MS, digest_of(content)
    for reason, count in closed.items():
        # No reason not to listen: who reads the topic does not mind a repetition.
        LOG.warning("repetitions of %d messages will not be known: %s", count, reason)


@asynccontextmanager
async def _writer(cluster: Cluster) -> AsyncIterator[DurableWriter]:
    writer = DurableWriter(cluster, asyncio.get_running_loop())
    try:
        yield writer
    finally:
        await writer.close(LETTERS_S)


async def _until(stop: asyncio.Event, writer: DurableWriter, lifecycle: Lifecycle) -> None:
    """Return when told to stop; raise what ends the writer. Note meanwhile that the loop turns."""
    stopping = asyncio.create_task(stop.wait())
    try:
        while not stopping.done():
            lifecycle.polled()
            await asyncio.wait(
                (stopping, writer.failed), timeout=LIVING_S, return_when=asyncio.FIRST_COMPLETED
            )
            if writer.failed.done():
                writer.failed.result()
    finally:
        stopping.cancel()
