"""Apicurio Registry, from what ``make test`` put into ``.headrace/registry/app``; for the tests.

It keeps its schemas in memory, and answers as Confluent's registry does.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar
from urllib.error import URLError
from urllib.request import urlopen

from flows.engine.ports import HOST
from flows.servers.java import MIN_JAVA, java
from flows.servers.process import Server
from state.errors import ServerFailed

APP = Path(".headrace/registry/app")


class Registry(Server):
    """One registry; what it holds is gone when it ends."""

    name: ClassVar[str] = "registry"

    @property
    def url(self) -> str:
        """For any client of a Confluent registry."""
        return f"http://{HOST}:{self.port}/apis/ccompat/v7"

    def _create(self) -> None:
        """Leave the home empty: it keeps no file."""

    def _command(self) -> list[str]:
        options = {
            "quarkus.http.host": HOST,
            "quarkus.http.port": self.port,
            "quarkus.log.level": "WARN",
        }
        given = [f"-D{name}={value}" for name, value in options.items()]
        if missing := missing_for_registry():
            raise ServerFailed(self.name, missing)
        return [java(MIN_JAVA) or "java", "-Xmx400m", *given, "-jar", str(_jar())]

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.url}/subjects", timeout=5) as answer:  # noqa: S310  # loopback
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False


def missing_for_registry() -> str:
    """Return what keeps the registry from running here; empty where nothing does."""
    if not java(MIN_JAVA):
        return f"no Java {MIN_JAVA} or later was found"
    if _jar() is None:
        return f"{APP} holds no registry (`make test` puts it there, with Maven)"
    return ""


def required() -> bool:
    """Say whether a missing registry is a failure: where a stand-in for Kafka is one too."""
    return os.environ.get("HEADRACE_REQUIRE_KAFKA") == "1"


def _jar() -> Path | None:
    for root in (Path.cwd(), Path(__file__).resolve().parents[2]):
        for jar in (root / APP).glob("apicurio-registry-app-*-runner.jar"):
            return jar.resolve()
    return None
