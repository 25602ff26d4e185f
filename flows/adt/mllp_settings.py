"""Settings of the MLLP listener: no output and no state depends on them."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from flows.settings.part import Duration, Interval, Part, duration_ns


class Mllp(Part):
    """Where ``headrace ingest mllp`` listens, and what it takes in."""

    host: str = "127.0.0.1"
    port: int = Field(default=2575, ge=0, le=65535)
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None
    """Certificates that vouch for the other side: a client then needs one of its own, and
    ``--send`` trusts no other listener."""
    ack_timeout: Interval = duration_ns("10s")  # type: ignore[assignment]  # text is parsed by the function itself
    """How long Kafka may take to confirm a message before it is refused."""
    dedupe_window: Duration = duration_ns("24h")  # type: ignore[assignment]  # as above
    """How long the same bytes are not stored again ..."""
    dedupe_most: int = Field(default=1_000_000, ge=1)
    """... and the most messages that are remembered for it."""
    max_message: int = Field(default=8 << 20, ge=1 << 10)
    """The longest frame, in bytes."""
    idle_timeout: Duration = 0
    """After how long a silent connection is closed; 0 for never."""
    max_connections: int = Field(default=1024, ge=1)
    max_unanswered: int = Field(default=256, ge=1)
    """Messages of a connection without an answer, from which on it is read no further."""
    accept_processing: tuple[str, ...] = ("P", "T", "D")
    """The values of MSH-11 that are taken."""
    validate_ids: bool = False
    """Whether messages are refused that lack MSH-10, PID-3 or MRG-1, or merge a patient into
    himself."""
    always_accept: bool = False
    """Whether what is refused for its content is accepted once it is a dead letter."""
    http_port: int = Field(default=9690, ge=0, le=65535)
    """The port on loopback for /live, /ready and /metrics; 0 turns them off."""
