"""Settings: one TOML file and ``HEADRACE_…`` variables, parsed once, frozen.

``HEADRACE_KAFKA__BOOTSTRAP`` sets ``[kafka] bootstrap``. Secrets come only from the
environment or from the file that ``…_FILE`` names, never from the TOML file.
"""

from __future__ import annotations

from pydantic_settings import BaseSettings, SettingsConfigDict

from flows.settings.feed import Feed
from flows.settings.market import CLOSES, MODELS, Market, decision_hash
from flows.settings.part import Part, duration_ns, settings_hash
from flows.settings.sealing import Sealing
from flows.settings.servers import Kafka, Postgres, Redis, Run
from flows.settings.trading import SEQUENCED, Trading, trading_hash

__all__ = [
    "CLOSES",
    "MODELS",
    "SEQUENCED",
    "Feed",
    "Kafka",
    "Market",
    "Part",
    "Postgres",
    "Redis",
    "Run",
    "Sealing",
    "Settings",
    "Trading",
    "decision_hash",
    "duration_ns",
    "settings_hash",
    "trading_hash",
]


class Settings(BaseSettings):
    """All settings; ``flows.config`` loads them and tells where each came from."""

    model_config = SettingsConfigDict(
        env_prefix="HEADRACE_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    kafka: Kafka = Kafka()
    redis: Redis = Redis()
    postgres: Postgres = Postgres()
    run: Run = Run()
    sealing: Sealing = Sealing()
    market: Market = Market()
    trading: Trading = Trading()
    feed: Feed = Feed()
