"""A connection to Redis that is used patiently: a server that is down is waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from redis import exceptions
from redis.connection import ConnectionPool

from connectors.redis.client import Wire, connect
from connectors.redis.script import APPEND
from connectors.waiting import Outage
from state.errors import KeyTaken, SettingsError, Undelivered
from state.lifecycle import Lifecycle

NAME = "redis"
Answer = TypeVar("Answer")

_DOWN = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    exceptions.NoScriptError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
)
_DOWN_CODES = ("BUSY ", "MISCONF ", "NOREPLICAS ", "UNKILLABLE ")
_REFUSED_LOGIN = (
    exceptions.AuthenticationError,
    exceptions.AuthorizationError,
    exceptions.AuthenticationWrongNumberOfArgsError,
)


class Link:
    """One connection, opened when it is needed, and again where it breaks.

    ``prefix`` names in an error what is written.
    """

    def __init__(self, connections: ConnectionPool, prefix: str, lifecycle: Lifecycle) -> None:
        self._pool = connections
        self._prefix = prefix
        self._outage = Outage(NAME, lifecycle)
        self._wire: Wire | None = None

    def patiently(self, action: Callable[[Wire], Answer]) -> Answer:
        """Return what ``action`` returns once the server does its part.

        Raises SettingsError where the login is refused, KeyTaken where another program holds a
        key, Undelivered where Redis refuses for good, and Stopped where the process is told to
        stop while it waits.
        """
        while True:
            try:
                with self._outage.lifecycle.calling(NAME):
                    if self._wire is None:
                        self._wire = connect(self._pool, APPEND)
                    answer = action(self._wire)
            except _REFUSED_LOGIN:
                raise SettingsError(
                    "Redis refuses the login: set the user and password in HEADRACE_REDIS__URL"
                ) from None
            except _DOWN as error:
                self.hang_up()
                self._outage.wait(f"{type(error).__name__}: {error}")
            except exceptions.ResponseError as error:
                self.hang_up()
                if str(error).startswith("WRONGTYPE "):
                    held = "value of another type"
                    raise KeyTaken(f"{self._prefix}…", held, "string or hash") from None
                if not str(error).startswith(_DOWN_CODES):
                    raise Undelivered(self._prefix, _code(error)) from None
                self._outage.wait(str(error))
            else:
                self._outage.over()
                return answer

    def hang_up(self) -> None:
        """Drop the connection, and with it the answers that are on their way."""
        if self._wire is not None:
            self._wire.disconnect()
            self._wire = None


def _code(error: exceptions.ResponseError) -> str:
    """Return the class and code of an error; the rest may repeat a record's content."""
    return f"{type(error).__name__} {str(error).partition(' ')[0]}"
