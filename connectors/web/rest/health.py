"""How the flows' workers and the servers are: the figures of the health tab, and probes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import httpx2
from anyio.to_thread import run_sync

from connectors.web.rest.scrape import Figures, parse, told

LOG = logging.getLogger("headrace.feed")

TIMEOUT_S = 2.0
"""How long a worker or a server may take to answer."""
FRESH_S = 1.0
"""Figures of this age are told again, however many ask."""

Check = Callable[[], object]


@dataclass(frozen=True)
class Sample:
    """One scrape and when it was made (time.monotonic)."""

    at_s: float
    figures: Figures


class Workers:
    """Scrapes the workers at ``addresses``, and asks the servers by their ``checks`` (blocking)."""

    def __init__(self, addresses: Sequence[str], checks: Mapping[str, Check]) -> None:
        self._addresses = tuple(address.rstrip("/") for address in addresses)
        self._checks = checks
        self._before: dict[str, Sample] = {}
        self._told: dict[str, Any] = {}
        self._faults: dict[str, str] = {}
        """What the last check of each server failed with; '' for nothing."""
        self._at_s = float("-inf")
        self._turn = anyio.Lock()

    async def health(self) -> dict[str, Any]:
        """Return workers and sources, at most `FRESH_S` old."""
        async with self._turn:
            if time.monotonic() - self._at_s > FRESH_S:
                self._told = await self._ask()
                self._at_s = time.monotonic()
            return self._told

    async def answers(self, source: str) -> bool:
        """Return whether one of the servers answers."""
        found: dict[str, Any] = {}
        await self._check(source, found)
        return bool(found[source]["ok"])

    async def _ask(self) -> dict[str, Any]:
        workers: dict[str, Any] = {}
        sources: dict[str, Any] = {}
        # What is asked is fixed by the settings: no proxy of the environment, no redirection.
        async with (
            httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client,
            anyio.create_task_group() as tasks,
        ):
            for name in self._checks:
                tasks.start_soon(self._check, name, sources)
            for address in self._addresses:
                tasks.start_soon(self._scrape, client, address, workers)
        return {
            "sources": {name: sources[name] for name in self._checks},
            "workers": [workers[address] for address in self._addresses],
        }

    async def _check(self, name: str, found: dict[str, Any]) -> None:
        began = time.monotonic()
        try:
            with anyio.fail_after(TIMEOUT_S):
                await run_sync(self._checks[name], abandon_on_cancel=True)
        except Exception as error:  # noqa: BLE001  # whatever it is, the server cannot be used
            self._note(name, type(error).__name__)
            found[name] = {"ok": False}
        else:
            self._note(name, "")
            found[name] = {"ok": True, "ms": round((time.monotonic() - began) * 1e3, 3)}

    def _note(self, name: str, fault: str) -> None:
        """Log what a check fails with, once until it changes; its words may hold a login."""
        if fault and self._faults.get(name) != fault:
            LOG.warning("%s does not answer its check: %s", name, fault)
        self._faults[name] = fault

    async def _scrape(
        self, client: httpx2.AsyncClient, address: str, found: dict[str, Any]
    ) -> None:
        worker: dict[str, Any] = {"address": address, "live": False, "ready": False}
        found[address] = worker
        try:
            for probe in ("live", "ready"):
                worker[probe] = (await client.get(f"{address}/{probe}")).status_code == 200
            metrics = await client.get(f"{address}/metrics")
            figures = await run_sync(parse, metrics.text)
        except (httpx2.HTTPError, ValueError) as error:
            worker["error"] = type(error).__name__
            return
        now = Sample(time.monotonic(), figures)
        before = self._before.get(address)
        if before is None:
            worker |= told(figures, None, 0.0)
        else:
            worker |= told(figures, before.figures, now.at_s - before.at_s)
        self._before[address] = now
