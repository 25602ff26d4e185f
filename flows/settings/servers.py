"""Kafka, Redis, PostgreSQL, and how a flow runs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from flows.settings.part import Duration, Part, duration_ns


class Kafka(Part):
    """Where records come from and go to."""

    bootstrap: str = "127.0.0.1:9092"
    group: str = "headrace"
    shards: int = Field(default=4, ge=1, le=256)
    batch: int = Field(default=4096, ge=1)
    """The most messages of one poll of one shard."""
    reading: Literal["auto", "columns", "objects"] = "auto"
    """How messages are taken from librdkafka (connectors/kafka/reading.py)."""
    start: str = "earliest"
    """Where a new flow starts: earliest, latest, an ISO 8601 time, or ``p:offset,…``."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: str = ""
    sasl_username: str = ""
    sasl_password: SecretStr = SecretStr("")
    ssl_ca: str = ""
    mark_key: SecretStr = SecretStr("")
    """What marks messages that are published or retried; where it is empty, the key in
    ``run.state_dir``, which flows and tools on one machine share."""
    options: dict[str, str] = {}
    """Anything else for librdkafka, by its own names."""


class Redis(Part):
    """Where live readers look."""

    url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    stream_length: int = Field(default=100_000, ge=1)
    """About how many entries a stream keeps."""


class Postgres(Part):
    """Where history rests; written by the history flow alone."""

    dsn: SecretStr = SecretStr("postgresql://headrace@127.0.0.1:5432/headrace")
    retention: Duration = duration_ns("365d")  # type: ignore[assignment]  # text is parsed by the function itself
    compress_after: Duration = duration_ns("7d")  # type: ignore[assignment]  # as above


class Run(Part):
    """How a flow runs; nothing here changes what it says."""

    state_dir: Path = Path(".headrace/state")
    epoch: Duration = duration_ns("1s")  # type: ignore[assignment]  # as above
    workers: int = Field(default=1, ge=1, le=8)
    generation: int = Field(default=1, ge=1)
    drain: Duration = duration_ns("30s")  # type: ignore[assignment]  # as above
    http_port: int = Field(default=9600, ge=0, le=65535)
    """The first process's port on loopback for /live, /ready and /metrics; 0 turns them off."""
    restarts: int = Field(default=5, ge=0)
    """How many restarts within ten minutes before the supervisor gives up."""
    max_dead_bytes: int = Field(default=1_000_000, ge=0)
