"""Settings of the live feed: where it listens, whom it lets in, and how much each may have."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from flows.settings.part import Duration, Interval, Part, duration_ns


class Feed(Part):
    """The gateway: WebSocket, REST and the page, on one port."""

    host: str = "127.0.0.1"
    """Another address than loopback needs ``jwks``."""
    port: int = Field(default=9700, ge=0, le=65535)
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    jwks: Path | None = None
    """A JSON Web Key Set with the public keys of tokens; read again when it changes. Without it
    there is no authentication, and only loopback is listened on."""
    issuer: str = ""
    """The ``iss`` that tokens must have; '' for any."""
    audience: str = "headrace"
    """The ``aud`` that tokens must have."""
    unseal: bool = False
    """Without ``jwks``: whether everybody gets secret outputs in clear, where sealing.keys are
    set. With it, a token's scope ``unseal`` says so."""
    origins: tuple[str, ...] = ()
    """Origins of other pages that may connect, such as https://desk.example."""
    heartbeat: Duration = duration_ns("5s")  # type: ignore[assignment]  # text is parsed by the function itself
    """How often a client is told that it is still served, and how old the sources are."""
    queue_bytes: int = Field(default=1 << 20, ge=1 << 12)
    """What may wait for one client; beyond it values are conflated, or it is disconnected."""
    clients: int = Field(default=2_000, ge=1)
    """Connections at the same time ..."""
    clients_per_address: int = Field(default=1_000, ge=1)
    """... of one address, which all clients behind a proxy share ..."""
    clients_per_subject: int = Field(default=200, ge=1)
    """... WebSockets of one token's subject ..."""
    connections_per_second: int = Field(default=50, ge=1)
    """... new ones a second from one address ..."""
    requests_per_second: int = Field(default=50, ge=1)
    """... and requests or messages a second of one client."""
    message_bytes: int = Field(default=1 << 16, ge=1 << 10)
    """The largest message or body that is taken in."""
    header_timeout: Duration = duration_ns("10s")  # type: ignore[assignment]  # as above
    """How long a client may take to say what it wants."""
    systems: tuple[str, ...] = ()
    """The systems whose tabs the page has, in their order; () for all."""
    audit: Path = Path(".headrace/audit/reads.jsonl")
    """Where reads of secret outputs are audited (docs/access.md); without it none is answered."""
    exports: Path = Path(".headrace/exports")
    """Where the files of bulk exports lie, sealed, for a day ..."""
    exports_bytes: int = Field(default=16 << 30, ge=1 << 20)
    """... and how many bytes they may have together."""
    break_glass: Interval = duration_ns("15m")  # type: ignore[assignment]  # as above
    """How long a subscription beyond a token's wards lasts."""
    recordings: Path = Path("recordings")
    """The directory whose recordings are listed."""
    workers: tuple[str, ...] = ("http://127.0.0.1:9600",)
    """Where the flows' workers answer /metrics and /ready (run.http_port): the health tab."""
    webhooks: Path | None = None
    """A TOML file of the endpoints that are notified (docs/feed.md)."""
