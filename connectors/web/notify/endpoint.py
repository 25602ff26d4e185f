"""The endpoints that are notified, of a TOML file that holds no secret."""

from __future__ import annotations

import base64
import os
import re
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from standardwebhooks.webhooks import Webhook

from connectors.addresses import is_safe
from connectors.web.channels import Channel, Sources, UnknownChannel, parse
from connectors.web.notify.lines import named, template_of
from state.errors import SettingsError

PER_MINUTE = 20
"""Lines a minute that a person can read."""
SECRET_BYTES = 24
"""The least that a signature's key has (Standard Webhooks, "Signature scheme")."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Policy(_Table):
    """How an endpoint is tried; times in seconds."""

    timeout_s: float = Field(default=10.0, gt=0)
    """For one attempt, until the status of the answer."""
    in_flight: int = Field(default=4, ge=1)
    """Requests at the same time."""
    queue: int = Field(default=1_000, ge=1)
    """Records waiting from which on no more are read."""
    attempts: int = Field(default=20, ge=1)
    """Attempts until a record is given up ..."""
    max_age_s: float = Field(default=86_400.0, gt=0)
    """... or its age at a failed attempt, counted from when it was written to Redis."""
    backoff_s: float = Field(default=1.0, gt=0)
    """The bound of the first pause; it doubles with each attempt ..."""
    max_backoff_s: float = Field(default=900.0, gt=0)
    """... up to this."""
    breaker_failures: int = Field(default=5, ge=1)
    """Failures in a row after which nothing is sent ..."""
    breaker_s: float = Field(default=30.0, gt=0)
    """... for this long; then one request tells whether to go on."""
    per_minute: int | None = Field(default=None, ge=1)
    """Records sent at once; of those beyond it the last is sent after a minute, for all."""


class _Asked(Policy):
    channel: str
    shape: Literal["standard", "slack", "plain"]
    url: str | None = None
    secret_env: str | None = None
    secret_file: Path | None = None
    changes: tuple[str, ...] = ()
    text: str | None = None
    link: str | None = None


class _File(_Table):
    dead: Path
    endpoints: dict[str, _Asked] = Field(min_length=1)


class Endpoint:
    """One receiver; ``secret`` signs, and ``url`` of Slack is itself a secret."""

    def __init__(self, name: str, asked: _Asked, sources: Sources) -> None:
        """Resolve what the table names. Raises SettingsError, which tells no secret."""
        self.name = name
        self.policy: Policy = asked
        self.shape = asked.shape
        self.channel = _channel(name, asked.channel, sources)
        self.changes = asked.changes
        """The fields of which a change is news; () where each record is."""
        self.template = asked.text or template_of(self.channel.source, asked.changes)
        self.link = asked.link
        if asked.shape == "slack" and asked.per_minute is None:
            self.policy = asked.model_copy(update={"per_minute": PER_MINUTE})
        secret = _secret(name, asked)
        self.signer: Webhook | None = None
        # The address of a Slack webhook is all that is needed to write there.
        url = secret if asked.shape == "slack" else asked.url
        if (url is None) or (asked.shape == "slack" and asked.url is not None):
            raise SettingsError(f"endpoint {name}: {_NEEDS[asked.shape]}")
        if (asked.shape == "plain") != (secret is None):
            raise SettingsError(f"endpoint {name}: {_NEEDS[asked.shape]}")
        if not is_safe(url):
            raise SettingsError(
                f"endpoint {name}: its URL has to be https://…, or http:// to a loopback address, "
                "without user and password"
            )
        if asked.shape == "standard":
            self.signer = _signer(name, secret or "")
        self.url = SecretStr(url)
        _judge(name, asked, self.channel)


_NEEDS = {
    "standard": "needs url, and secret_env or secret_file",
    "slack": "needs secret_env or secret_file, which gives the URL, and no url",
    "plain": "needs url, and no secret",
}


def read_endpoints(path: Path, sources: Sources) -> tuple[list[Endpoint], Path]:
    """Return the endpoints of a file and where its dead letters go. Raises SettingsError."""
    try:
        found = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsError(f"feed.webhooks: {path}: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"feed.webhooks: {path} is no TOML: {error}") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise SettingsError(f"feed.webhooks: {path}: {where}: {first['msg']}") from None
    return [Endpoint(name, asked, sources) for name, asked in found.endpoints.items()], found.dead


def _channel(name: str, text: str, sources: Sources) -> Channel:
    try:
        return parse(text, sources)
    except UnknownChannel as error:
        raise SettingsError(f"endpoint {name}: {error}") from None


def _judge(name: str, asked: _Asked, channel: Channel) -> None:
    """Raise SettingsError where what is asked of the channel's output cannot be."""
    source = channel.source
    output = source.output
    known = () if output.secret else tuple(column.name for column in output.columns)
    if asked.shape == "slack" and output.secret:
        raise SettingsError(f"endpoint {name}: {source.name} is sealed: nobody could read it")
    if asked.shape == "slack" and output.key and not asked.changes:
        raise SettingsError(
            f"endpoint {name}: {source.name} repeats what has not changed: name in changes the "
            "fields whose change is news"
        )
    if asked.changes and not output.key:
        raise SettingsError(f"endpoint {name}: {source.name} is no table: each record is news")
    if asked.shape != "slack" and (asked.text or asked.link or asked.per_minute):
        raise SettingsError(f"endpoint {name}: text, link and per_minute are of slack alone")
    unknown = [field for field in (*asked.changes, *named(asked.text or "")) if field not in known]
    if unknown:
        raise SettingsError(f"endpoint {name}: {source.name} has no field {unknown[0]!r}")
    if asked.link and not re.fullmatch(r"https?://[^\s<>|]+", asked.link):
        raise SettingsError(f"endpoint {name}: link has to be http:// or https://, without spaces")


def _secret(name: str, asked: _Asked) -> str | None:
    if asked.secret_env is not None and asked.secret_file is not None:
        raise SettingsError(f"endpoint {name}: either secret_env or secret_file")
    if asked.secret_env is not None:
        found = os.environ.get(asked.secret_env, "")
    elif asked.secret_file is not None:
        try:
            found = asked.secret_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise SettingsError(f"endpoint {name}: secret_file cannot be read") from None
    else:
        return None
    if not found:
        raise SettingsError(f"endpoint {name}: its secret is missing or empty")
    return found


def _signer(name: str, secret: str) -> Webhook:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"))
    except ValueError:  # binascii.Error is one; its text may tell the secret
        key = b""
    if len(key) < SECRET_BYTES:
        raise SettingsError(
            f"endpoint {name}: its secret has to be whsec_ and {SECRET_BYTES} bytes or more "
            "in base64"
        )
    return Webhook(secret)
