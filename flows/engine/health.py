"""/live, /ready and /metrics of one worker process, on loopback only."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from state.errors import Misuse
from state.lifecycle import Lifecycle

STALL_SECONDS = 30.0
"""A worker that polls no source for longer, and waits for nothing, is stuck."""

Answer = tuple[int, dict[str, object]]


def live(lifecycle: Lifecycle, now: float) -> Answer:
    """Return 200, or 503 where the worker is stuck at ``now`` (time.monotonic)."""
    silence = now - lifecycle.last_poll
    stuck = lifecycle.opened.is_set() and silence > STALL_SECONDS
    if stuck and not lifecycle.awaited(now):
        return 503, {"live": False, "reason": f"no poll for {silence:.0f} s"}
    return 200, {"live": True}


def ready(lifecycle: Lifecycle, now: float) -> Answer:
    """Return 200 once the source is open and all servers answer, else 503 with the reason."""
    if lifecycle.stopping.is_set():
        return 503, {"ready": False, "reason": "stopping"}
    if awaited := lifecycle.awaited(now):
        return 503, {"ready": False, "waiting": awaited}
    if not lifecycle.opened.is_set():
        return 503, {"ready": False, "reason": "opening"}
    return 200, {"ready": True}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, lifecycle: Lifecycle) -> None:
        self.lifecycle = lifecycle
        super().__init__(("127.0.0.1", port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:  # the name is http.server's
        """Answer a probe or a scrape."""
        if self.path == "/metrics":
            self._send(200, CONTENT_TYPE_LATEST, generate_latest())
        elif self.path == "/live":
            self._answer(live(self.server.lifecycle, time.monotonic()))
        elif self.path == "/ready":
            self._answer(ready(self.server.lifecycle, time.monotonic()))
        else:
            self._answer((404, {"paths": ["/live", "/ready", "/metrics"]}))

    def _answer(self, answer: Answer) -> None:
        self._send(answer[0], "application/json", orjson.dumps(answer[1]))

    def _send(self, code: int, content_type: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name
        """Say nothing: probes come every few seconds."""


@contextmanager
def serving(port: int, lifecycle: Lifecycle) -> Iterator[int]:
    """Answer on 127.0.0.1:``port`` from a thread of its own; yields the port.

    Raises Misuse where the port is taken.
    """
    try:
        server = _Server(port, lifecycle)
    except OSError as error:
        raise Misuse(
            f"cannot listen on 127.0.0.1:{port} ({error.strerror}): choose another run.http_port, "
            "or 0 for none"
        ) from None
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
