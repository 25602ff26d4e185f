"""Connections to PostgreSQL whose errors never tell the password, and which errors pass."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from state.errors import SettingsError

Connection = psycopg.Connection[tuple[Any, ...]]

_DEFAULTS: dict[str, str | int] = {
    "application_name": "headrace",
    "connect_timeout": 5,
    # A peer that vanished is noticed within about ten seconds.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_PASSING_CLASSES = ("08", "53", "57", "58")
"""Connection lost, resources exhausted, operator intervention, system error."""
_PASSING = ("25006", "40001", "40P01", "55P03")
"""Read only (a standby), serialization failure, deadlock, lock not available."""
_REFUSED = ("authentication failed", "no password supplied", "does not exist", "no pg_hba.conf")


class Database:
    """How to reach one database.

    Raises SettingsError where the address does not parse; its text, which may hold a
    password, is not repeated.
    """

    def __init__(self, dsn: SecretStr) -> None:
        try:
            given = conninfo_to_dict(dsn.get_secret_value())
        except psycopg.ProgrammingError:
            given = {}
        if not given or _misread(given):
            raise SettingsError(
                "postgres.dsn does not parse: write postgresql://user:password@host:port/database "
                "with the password percent-encoded"
            )
        self._conninfo = SecretStr(make_conninfo("", **{**_DEFAULTS, **given}))
        password = str(given.get("password") or "")
        self._secrets = {text for text in (password, quote(password, safe="")) if text}

    def connect(self) -> Connection:
        """Return a new connection in autocommit mode.

        Raises SettingsError where the server refuses the login for good, and psycopg's
        OperationalError where it cannot be reached.
        """
        try:
            connection = psycopg.connect(self._conninfo.get_secret_value(), autocommit=True)
        except psycopg.OperationalError as error:
            if any(words in str(error) for words in _REFUSED):
                raise SettingsError(
                    "PostgreSQL refuses the login (set HEADRACE_POSTGRES__DSN): "
                    + self.masked(error)
                ) from None
            raise
        connection.execute("SET lock_timeout = '10s'; SET timezone = 'UTC'")
        # What is reported as written must outlive a crash of the server.
        connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false) "
            "WHERE current_setting('synchronous_commit') = 'off'"
        )
        return connection

    def masked(self, error: psycopg.Error) -> str:
        """Return an error's text on one line, without the password."""
        text = " ".join(str(error).split())
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def hang_up(connection: Connection) -> None:
    """Break a connection from another thread: whoever waits for its answer gets an error."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)


def _misread(given: Mapping[str, object]) -> bool:
    """Return whether an unencoded password, with / or @ in it, was read as other parts."""
    host, port, name = (str(given.get(part) or "") for part in ("host", "port", "dbname"))
    return "@" in host + name or not re.fullmatch(r"[\d,]*", port)


def passes(error: psycopg.Error) -> bool:
    """Return whether the same statement may succeed later, on a new connection."""
    code = error.sqlstate
    if code is None:
        return isinstance(error, psycopg.OperationalError)
    return code[:2] in _PASSING_CLASSES or code in _PASSING


def refusal(error: psycopg.Error) -> str:
    """Return what the database refused, without the data that its message may repeat."""
    where = [name for name in (error.diag.table_name, error.diag.column_name) if name]
    return " ".join([f"{type(error).__name__} ({error.sqlstate})", *where])
