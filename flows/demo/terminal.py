"""What a demo says in the terminal while it starts."""

from __future__ import annotations

import os
import sys
import threading
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager

from flows.demo.child import Child


def open_page(gateway: Child, stop: threading.Event) -> str:
    """Print the page's address once it can be opened, whatever else still starts; return it."""
    gateway.wait_until_ready(stop, "live")
    address = f"http://127.0.0.1:{gateway.http_port}/"
    print(f"the page: {address}", flush=True)
    if sys.stdout.isatty() and _has_display():
        webbrowser.open(address)
    return address


def _has_display() -> bool:
    return sys.platform == "darwin" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print what is done, and the seconds that it took, on one line."""
    print(f"{name} … ", end="", flush=True)
    begin = time.monotonic()
    try:
        yield
    except BaseException:
        # Whatever it is, Ctrl-C too: what is said of it begins on a line of its own.
        print(flush=True)
        raise
    print(f"{time.monotonic() - begin:.1f} s", flush=True)
