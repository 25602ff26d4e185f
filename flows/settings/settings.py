"""All settings: the general tables, and those of the systems that there are."""

from __future__ import annotations

from functools import cache
from typing import TypeVar

from pydantic import create_model
from pydantic_settings import BaseSettings, SettingsConfigDict

from flows.engine.systems import systems
from flows.settings.feed import Feed
from flows.settings.part import Part
from flows.settings.sealing import Sealing
from flows.settings.servers import Kafka, Postgres, Redis, Run

P = TypeVar("P", bound=Part)


class Settings(BaseSettings):
    """The general tables; `whole` adds a field for each table of a system."""

    model_config = SettingsConfigDict(
        env_prefix="HEADRACE_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    kafka: Kafka = Kafka()
    redis: Redis = Redis()
    postgres: Postgres = Postgres()
    run: Run = Run()
    feed: Feed = Feed()
    sealing: Sealing = Sealing()

    def of(self, table: type[P]) -> P:
        """Return the table of this class, such as ``settings.of(Kafka)``.

        One that these settings were made without has its defaults.
        """
        for name in type(self).model_fields:
            found = getattr(self, name)
            if type(found) is table:
                return found
        return table()


@cache
def whole() -> type[Settings]:
    """Return the class of all settings, those of every system included."""
    tables = {
        name: (table, table()) for system in systems() for name, table in system.settings.items()
    }
    # pydantic's types know no fields that are only known when it runs.
    made: type[Settings] = create_model("Settings", __base__=Settings, **tables)  # type: ignore[call-overload]
    return made
