"""Ports of this machine's loopback address."""

from __future__ import annotations

import random
import socket

HOST = "127.0.0.1"


def free_port(wanted: int | None = None) -> int:
    """Return a free loopback port below those that the system lends to outgoing connections.

    A client that retries while its server is down could otherwise be lent the very port
    and connect to itself. It is ``wanted`` where that is free.
    """
    port = wanted
    while True:
        port = port or random.randrange(20_000, 32_000)  # noqa: S311  # no secret
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                port = None
                continue
            return port
