"""Sends what the state machines say, and remembers in Redis how far each endpoint has come."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from random import SystemRandom

import httpx2

from connectors.web.channels import sources_of
from connectors.web.hub import LOOK_S
from connectors.web.notify.dead import DeadList
from connectors.web.notify.delivery import Deliveries, Delivery
from connectors.web.notify.endpoint import Endpoint, read_endpoints
from connectors.web.notify.following import Following
from connectors.web.notify.shapes import request
from connectors.web.tail import DOWN, RETRY_S, Tail
from state.errors import SettingsError
from state.metrics import FEED_BREAKER, FEED_NOTIFIED, FEED_NOTIFY_DEAD, FEED_NOTIFY_FAILED
from state.outputs import Output

LOG = logging.getLogger("headrace.feed")
GONE_STATUS = 410
"""The receiver wants nothing more (Standard Webhooks, "Operational considerations")."""


class Failed(Exception):
    """An attempt that failed; args: (reason, seconds that the endpoint asks to wait)."""


class Notifier:
    """One endpoint: reads its channel and sends it."""

    def __init__(
        self, endpoint: Endpoint, tail: Tail, client: httpx2.AsyncClient, dead: DeadList
    ) -> None:
        self._endpoint = endpoint
        self._client = client
        self._dead = dead
        self._deliveries = Deliveries(endpoint.policy, SystemRandom())
        self._following = Following(endpoint, tail, self._deliveries)
        self._wake = asyncio.Event()
        self._attempts: set[asyncio.Task[None]] = set()
        for counter in (FEED_NOTIFIED, FEED_NOTIFY_DEAD):
            counter.labels(endpoint.name)  # from 0 on, so that an alert sees the first

    async def read(self) -> None:
        """Read the channel as long as there is room, until cancelled."""
        while True:
            try:
                if len(self._deliveries) < self._endpoint.policy.queue:
                    await self._following.read()
                    self._wake.set()
                else:
                    await asyncio.sleep(RETRY_S)
            except DOWN:
                await asyncio.sleep(RETRY_S)

    async def send(self) -> None:
        """Send what is due, until cancelled."""
        try:
            while True:
                self._wake.clear()
                while (delivery := self._deliveries.due(time.monotonic())) is not None:
                    task = asyncio.create_task(self._attempt(delivery))
                    self._attempts.add(task)
                    task.add_done_callback(self._attempts.discard)
                    task.add_done_callback(_ended)
                FEED_BREAKER.labels(self._endpoint.name).set(self._deliveries.state)
                wait_s = self._deliveries.wait_s(time.monotonic())
                try:
                    await self._following.keep()
                except DOWN:
                    wait_s = min(RETRY_S, wait_s or RETRY_S)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), wait_s)
        finally:
            for task in self._attempts:
                task.cancel()

    async def _attempt(self, delivery: Delivery) -> None:
        name, deliveries = self._endpoint.name, self._deliveries
        try:
            status = await self._post(delivery)
        except Failed as error:
            reason, pause_s = error.args
            FEED_NOTIFY_FAILED.labels(name, reason).inc()
            gone = deliveries.exhausted(delivery, time.monotonic())
            dead = gone and await self._bury(delivery, reason)
            deliveries.failed(delivery, time.monotonic(), dead=dead, pause_s=pause_s)
        else:
            if status == GONE_STATUS:
                LOG.error("endpoint %s answers 410: it gets nothing more until a restart", name)
                deliveries.gone(delivery)
            else:
                FEED_NOTIFIED.labels(name).inc()
                deliveries.delivered(delivery)
        self._wake.set()

    async def _post(self, delivery: Delivery) -> int:
        """Return the status of an answer that ends the matter. Raises Failed otherwise."""
        endpoint = self._endpoint
        headers, body = request(endpoint, delivery, time.time())
        url = endpoint.url.get_secret_value()
        try:
            async with (
                asyncio.timeout(endpoint.policy.timeout_s),
                self._client.stream("POST", url, headers=headers, content=body) as answer,
            ):
                status, after = answer.status_code, answer.headers.get("retry-after", "")
        except TimeoutError:
            raise Failed("timeout", 0.0) from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            # Its text may tell the URL, which is a secret of Slack's.
            raise Failed(_fault(error), 0.0) from None
        if status != GONE_STATUS and not 200 <= status < 300:
            raise Failed(f"status {status}", float(after) if after.isdecimal() else 0.0)
        return status

    async def _bury(self, delivery: Delivery, reason: str) -> bool:
        endpoint, ts_ns = self._endpoint, time.time_ns()
        line = (endpoint.name, str(endpoint.channel), delivery.id, reason, ts_ns)
        try:
            await asyncio.to_thread(self._dead.append, *line)
        except OSError as error:
            LOG.warning("dead letters of notifications cannot be written: %s", error.strerror)
            return False
        FEED_NOTIFY_DEAD.labels(endpoint.name).inc()
        LOG.warning("endpoint %s: a notification was given up (%s)", endpoint.name, reason)
        return True


class Notifiers:
    """The endpoints of a file, started and stopped together."""

    def __init__(self, path: Path | None, outputs: Iterable[Output], tail: Tail) -> None:
        """Read the file; nothing is sent yet. Raises SettingsError."""
        self._endpoints, dead = read_endpoints(path, sources_of(outputs)) if path else ([], Path())
        self._dead = DeadList(dead)
        self._tail = tail
        self._tasks: list[asyncio.Task[None]] = []
        self._trust = _trust() if self._endpoints else None
        self._client: httpx2.AsyncClient | None = None

    def start(self) -> None:
        """Begin to read and to send."""
        if self._trust is None:
            return
        for name in ("httpx2", "httpcore2"):  # they tell URLs, and headers where debugging
            logging.getLogger(name).setLevel(logging.WARNING)
        limits = httpx2.Limits(max_connections=None)  # each endpoint has its own bound
        self._client = httpx2.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            verify=self._trust,
            timeout=None,
            limits=limits,
        )
        for endpoint in self._endpoints:
            notifier = Notifier(endpoint, self._tail, self._client, self._dead)
            for work in (notifier.read(), notifier.send()):
                task = asyncio.create_task(work)
                task.add_done_callback(_ended)
                self._tasks.append(task)

    async def stop(self) -> None:
        """End; what is in flight is sent again after a restart."""
        while pending := [task for task in self._tasks if not task.done()]:
            for task in pending:
                task.cancel()
            # Once may not be enough: the library of Redis may swallow it.
            await asyncio.wait(pending, timeout=LOOK_S)
        if self._client is not None:
            await self._client.aclose()


def _trust() -> ssl.SSLContext:
    """Return what vouches for receivers: the system's certificates, or those of SSL_CERT_FILE.

    Raises SettingsError.
    """
    try:
        return httpx2.create_ssl_context()
    except OSError as error:  # one of ssl's own too
        fault = error.strerror or type(error).__name__
        raise SettingsError(f"SSL_CERT_FILE or SSL_CERT_DIR cannot be used: {fault}") from None


def _fault(error: BaseException) -> str:
    """Return ``certificate`` where the receiver's was refused, else ``connection``."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "certificate"
        cause = cause.__cause__ or cause.__context__
    return "connection"


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        LOG.error("notifications have stopped: %s", type(error).__name__)
