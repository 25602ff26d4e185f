"""Connections to Redis or Valkey whose errors never tell the password."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

import redis
from pydantic import SecretStr

from state.errors import SettingsError

TIMEOUT_SECONDS = 5.0
"""A server that is silent for longer counts as down."""


class Wire(Protocol):
    """The part of the library's Connection, which has no types, that a writer uses."""

    def connect(self) -> None:
        """Open the socket and log in."""

    def send_packed_command(self, command: list[bytes]) -> None:
        """Send encoded commands."""

    def read_response(self) -> Any:
        """Return the next answer, or raise the error that it is."""

    def disconnect(self) -> None:
        """Close the socket."""


def pool(url: SecretStr) -> redis.ConnectionPool:
    """Return a pool of connections to the server of ``url``; nothing is opened yet.

    Raises SettingsError where the URL does not parse; its text, which may hold a
    password, is not repeated.
    """
    text = url.get_secret_value()
    credentials = text.partition("://")[2].rpartition("@")[0]
    # Such a character, not encoded, ends what is read as the host: the rest would be lost.
    made = None if set(credentials) & set("/?#") else _try_pool(text)
    if made is None:
        raise SettingsError(
            "redis.url does not parse: write redis://[user:password@]host:port/db "
            "with the password percent-encoded"
        )
    return made


def _try_pool(url: str) -> redis.ConnectionPool | None:
    try:
        made = redis.ConnectionPool.from_url(
            url,
            protocol=2,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
        )
        made.make_connection()
    except (ValueError, TypeError):
        return None
    return made


def client(url: SecretStr) -> redis.Redis:
    """Return the library's client for ``url``. Raises SettingsError as `pool` does."""
    return redis.Redis(connection_pool=pool(url))


def command(*arguments: str | bytes | int) -> bytes:
    """Return the RESP bytes of one command."""
    return b"*%d\r\n%b" % (len(arguments), encode(arguments))


def encode(arguments: Sequence[str | bytes | int]) -> bytes:
    """Return the RESP bytes of some arguments of a command, without the command's head.

    Source: RESP specification, "Bulk strings". The library's own packing takes
    four times as much CPU for a script call of 500 records, which is most of the call.
    """
    parts = []
    for argument in arguments:
        if isinstance(argument, bytes):
            content = argument
        else:
            content = argument.encode() if isinstance(argument, str) else b"%d" % argument
        parts.append(b"$%d\r\n%b\r\n" % (len(content), content))
    return b"".join(parts)


def connect(connections: redis.ConnectionPool, script: str) -> Wire:
    """Return a new, open connection to a server that has loaded ``script``."""
    wire = cast(Wire, connections.make_connection())
    wire.connect()
    wire.send_packed_command([command("SCRIPT", "LOAD", script)])
    wire.read_response()
    return wire
