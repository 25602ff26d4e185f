"""Ports of this machine's loopback address, no port given to two processes.

A port is chosen by one process and bound by another, seconds later, and a server that was
killed leaves its port free until it is back. So ports are given from blocks: a process holds
the first port of its block bound, which the kernel allows one process at a time.
"""

from __future__ import annotations

import itertools
import random
import socket
import threading
from collections.abc import Iterator

from state.errors import Broken

HOST = "127.0.0.1"
PORTS = range(20_000, 32_000)
"""Below the ports that Linux lends to outgoing connections: a client that retries while its
server is down could otherwise be lent the server's port and connect to itself."""

_BLOCK = 100
_MOST_BLOCKS = 20
"""A process that has given all ports of so many blocks gives them again: one that restarts
its workers for ever takes no more."""


_NONE = f"other processes hold the ports {PORTS[0]} to {PORTS[-1]}"


def free_port(in_a_row: int = 1) -> int:
    """Return the first of ``in_a_row`` free ports, one after another, for the caller alone.

    Raises Broken where other processes hold all ports.
    """
    return _OURS.take(in_a_row)


def is_free(port: int) -> bool:
    """Say whether a server could listen on a port now."""
    with socket.socket() as probe:
        return _binds(probe, port)


class _Ports:
    """The ports of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks = _blocks()
        self._left = range(0)

    def take(self, count: int) -> int:
        """Return the first of ``count`` free ports, one after another."""
        with self._lock:
            for _ in range(_MOST_BLOCKS * _BLOCK):
                while len(self._left) < count:
                    self._left = next(self._blocks, range(0))
                    if not self._left:
                        raise Broken(_NONE)
                ports, self._left = self._left[:count], self._left[count:]
                if all(is_free(port) for port in ports):
                    return ports[0]
            raise Broken(_NONE)


def _blocks() -> Iterator[range]:
    """Yield the ports of each block that is claimed, at last those of the same blocks again."""
    claimed: list[range] = []
    guards = []  # held bound for the life of the process
    starts = list(PORTS[::_BLOCK])
    random.shuffle(starts)
    for start in starts:
        guard = socket.socket()
        if not _binds(guard, start):
            guard.close()
            continue
        guards.append(guard)
        claimed.append(range(start + 1, start + _BLOCK))
        yield claimed[-1]
        if len(claimed) == _MOST_BLOCKS:
            break
    yield from itertools.cycle(claimed)


def _binds(probe: socket.socket, port: int) -> bool:
    try:
        probe.bind((HOST, port))
    except OSError:
        return False
    return True


_OURS = _Ports()
