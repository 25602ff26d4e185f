"""A database that goes with its test, and a connection to it."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from connectors.postgres.client import Connection, Database
from flows.servers import Postgres


@pytest.fixture
def database(database: str, postgres: Postgres) -> Iterator[str]:
    """The empty database of the test; dropped, so that the server's end need not write it out."""
    yield database
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        name = sql.Identifier(database.rpartition("/")[2])
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    """A connection to the empty database of the test."""
    with Database(SecretStr(database)).connect() as opened:
        yield opened
