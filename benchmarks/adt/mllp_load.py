"""The senders of a benchmark: many connections, so many messages of each under way.

A program of its own (`benchmarks.child`). It reads no answer while it measures: it counts the ends
of frames, and looks afterwards at what they said.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from benchmarks import child
from benchmarks.report import percentiles
from connectors.mllp.frames import END, START
from replay.adt.hospital import Hospital
from replay.adt.segments import RESULTS, header
from state.errors import Broken

ACCEPTED = b"\rMSA|AA|"
CHUNK = 1 << 16
PATIENCE_S = 60.0


def messages(seed: int, first: int) -> Iterator[bytes]:
    """Yield the ADT messages of a simulated hospital in order; their ids count from ``first``.

    Another hospital, or other ids, are other bytes, which a listener stores anew.
    """
    told = (made for made in Hospital(seed).messages() if made.trigger != RESULTS)
    for control, made in enumerate(told, start=first):
        yield f"{header(made.trigger, made.recorded_s, control)}\r{made.body}\r".encode()


class Client:
    """One connection, which sends a message for each answer once ``window`` are under way."""

    def __init__(self, port: int, frames: Iterator[bytes], times_ns: list[int]) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._frames = frames
        self._times_ns = times_ns
        self._sent_ns: deque[int] = deque()
        self._said: list[bytes] = []
        self._cut = b""

    def send(self, count: int) -> None:
        """Send so many of the messages that are left."""
        frames = list(islice(self._frames, count))
        if frames:
            self._sent_ns.extend([time.monotonic_ns()] * len(frames))
            self.sock.sendall(b"".join(frames))

    def receive(self) -> int:
        """Take what has come; return how many answers it ends. Raises Broken where it is closed."""
        data = self.sock.recv(CHUNK)
        now = time.monotonic_ns()
        if not data:
            raise Broken("the listener closed a connection")
        count = (self._cut + data).count(END)
        self._cut = data[-1:] if data.endswith(END[:1]) else b""
        self._said.append(data)
        self._times_ns.extend(now - self._sent_ns.popleft() for _ in range(count))
        return count

    def accepted(self) -> int:
        """Return how many messages were accepted."""
        return b"".join(self._said).count(ACCEPTED)


def main(job: dict[str, Any]) -> None:
    """Send ``count`` messages over ``connections``, ``window`` of each under way; say what came."""
    made = islice(messages(job["seed"], job["first"]), job["count"])
    frames = iter([START + each + END for each in made])
    times_ns: list[int] = []
    clients = [Client(job["port"], frames, times_ns) for _ in range(job["connections"])]
    child.say({"ready": True})
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    _exchange(clients, job["count"], job["window"])
    took_s, cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
    accepted = sum(each.accepted() for each in clients)
    if accepted != job["count"]:
        raise Broken(f"{accepted} of {job['count']} messages were accepted")
    answered = percentiles(np.array(times_ns, np.int64))
    child.say({"seconds": took_s, "cpu_s": cpu_s, "answered_ms": answered})


def _exchange(clients: list[Client], count: int, window: int) -> None:
    """Send all, and return once all are answered."""
    poll = select.epoll()
    by_file = {client.sock.fileno(): client for client in clients}
    for file, client in by_file.items():
        poll.register(file, select.EPOLLIN)
        client.send(window)
    left = count
    while left:
        ready = poll.poll(PATIENCE_S)
        if not ready:
            raise Broken(f"no answer in {PATIENCE_S:g} s, {left} are missing")
        for file, _ in ready:
            answered = by_file[file].receive()
            left -= answered
            by_file[file].send(answered)
    poll.close()


if __name__ == "__main__":
    child.start(main)
