"""The feed as a whole: hub, access, REST app and server, made of the settings."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from connectors.web.audit import INTERVAL_S, Audit
from connectors.web.connection import Gate
from connectors.web.hub import Hub
from connectors.web.limits import Limits
from connectors.web.notify.sender import Notifiers
from connectors.web.reads import Reads
from connectors.web.rest.app import make_app
from connectors.web.server import listen, server
from connectors.web.tail import Tail
from connectors.web.tokens import Tokens
from flows.engine.open_files import allow_connections
from flows.engine.systems import declared_outputs, systems
from flows.feed.rest import rest_parts
from flows.settings.feed import Feed
from flows.settings.settings import Settings
from state.clock import NS
from state.errors import Misuse
from state.sealing import Seal

LOG = logging.getLogger("headrace.feed")


def limits(settings: Settings) -> Limits:
    """Return the bounds of the [feed] settings."""
    feed = settings.feed
    return Limits(
        queue_bytes=feed.queue_bytes,
        message_bytes=feed.message_bytes,
        clients=feed.clients,
        clients_per_address=feed.clients_per_address,
        clients_per_subject=feed.clients_per_subject,
        connections_per_second=feed.connections_per_second,
        requests_per_second=feed.requests_per_second,
        header_timeout_s=feed.header_timeout / NS,
        heartbeat_s=feed.heartbeat / NS,
        break_glass_s=feed.break_glass / NS,
    )


def opening(settings: Settings) -> Seal | None:
    """Return what opens sealed records for those who may; None where nobody may."""
    keyring, feed = settings.sealing.keyring(), settings.feed
    return Seal(keyring) if keyring and (feed.jwks or feed.unseal) else None


async def serve(settings: Settings, ready: Callable[[str], None] = LOG.info) -> None:
    """Serve until SIGTERM or SIGINT. ``ready`` is told the address once we listen.

    Raises Misuse where the settings cannot be served, SettingsError where the keys or the URL
    of Redis cannot be used.
    """
    feed = settings.feed
    shown = _shown(feed)
    allow_connections(feed.clients, "feed.clients")
    tokens = Tokens(feed.jwks, feed.audience, feed.issuer) if feed.jwks else None
    tail = Tail(settings.redis.url)
    notifiers = Notifiers(feed.webhooks, declared_outputs(), tail)
    seal = opening(settings)
    hub = Hub(tail, declared_outputs(), feed.heartbeat / NS, seal)
    bounds = limits(settings)
    parts = rest_parts(settings, tokens, bounds, seal)
    if seal is not None:
        _open(parts.reads)
    gate = Gate(hub, tokens, bounds, parts.audit, parts.reads, feed.origins)
    made = server(make_app(parts, systems=shown), gate, feed.tls_certificate, feed.tls_key)
    sock = listen(feed.host, feed.port, guarded=tokens is not None)
    following = asyncio.create_task(hub.run())
    # A hub that fails is a fault of ours: then nothing is served that would never change.
    following.add_done_callback(lambda _: setattr(made, "should_exit", True))
    telling = asyncio.create_task(_tell(parts.audit, parts.reads))
    notifiers.start()
    ready(f"{'https' if feed.tls_key else 'http'}://{feed.host}:{sock.getsockname()[1]}")
    try:
        await made.serve(sockets=[sock])
    except asyncio.CancelledError:
        await made.shutdown(sockets=[sock])
        raise
    finally:
        hub.stop()
        await notifiers.stop()
        telling.cancel()
        parts.audit.tell()
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await tail.close()
        parts.close()


def _shown(feed: Feed) -> tuple[str, ...]:
    """Return the systems of the page. Raises Misuse where there is none of such a name."""
    known = [system.name for system in systems()]
    for name in feed.systems:
        if name not in known:
            raise Misuse(f"feed.systems names {name!r}: choose {', '.join(known)}")
    return feed.systems


def _open(reads: Reads) -> None:
    """Open the audit of reads. Raises Misuse where it cannot be written."""
    try:
        reads.open()
    except OSError as error:
        raise Misuse(f"feed.audit {error.filename} cannot be written: {error.strerror}") from None


async def _tell(audit: Audit, reads: Reads) -> None:
    while True:
        await asyncio.sleep(INTERVAL_S)
        audit.tell()
        reads.tell()
