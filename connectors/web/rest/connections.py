"""A few connections to PostgreSQL that requests take turns with."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from connectors.postgres.client import Connection, Database

TIMEOUT_S = 10
"""How long a query may take, and a request may wait for its turn."""


class Busy(Exception):
    """All connections are in use for longer than `TIMEOUT_S`."""


class Connections:
    """At most ``size`` connections, opened when needed and read-only; threads share them."""

    def __init__(self, database: Database, size: int = 4) -> None:
        self._database = database
        self._free: queue.LifoQueue[Connection | None] = queue.LifoQueue()
        for _ in range(size):
            self._free.put(None)

    @contextmanager
    def taken(self) -> Iterator[Connection]:
        """Lend a connection. Raises Busy; errors of psycopg pass through and cost it."""
        try:
            connection = self._free.get(timeout=TIMEOUT_S)
        except queue.Empty:
            raise Busy from None
        try:
            connection = self._opened(connection)
            yield connection
        except psycopg.Error:
            if connection is not None:
                connection.close()
            connection = None
            raise
        finally:
            self._free.put(connection)

    def ping(self) -> None:
        """Ask the server for nothing. Errors of psycopg pass through."""
        with self.taken() as connection:
            connection.execute("SELECT 1")

    def close(self) -> None:
        """Close the connections that are not lent."""
        while not self._free.empty():
            connection = self._free.get_nowait()
            if connection is not None:
                connection.close()

    def _opened(self, connection: Connection | None) -> Connection:
        """Return a connection that answers: one that broke while it was idle is made anew."""
        if connection is not None:
            try:
                connection.execute("SELECT 1")
            except psycopg.OperationalError:
                connection.close()
            else:
                return connection
        made = self._database.connect()
        made.execute(f"SET statement_timeout = '{TIMEOUT_S}s'")
        made.execute("SET default_transaction_read_only = on")
        return made
