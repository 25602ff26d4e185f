"""Who a token says that its bearer is, and what he may.

JSON Web Tokens (RFC 7519) signed with a key of a JSON Web Key Set (RFC 7517); best practice is
RFC 8725: the algorithms are named here, not by the token, and only such with public keys.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard

import orjson
from joserfc import errors, jwt
from joserfc.jwk import KeySet, RSAKey

from connectors.web.channels import Filters, Source, Values
from state.errors import SettingsError

ALGORITHMS = ("EdDSA", "ES256", "RS256")
TYPES = ("jwt", "at+jwt", "application/at+jwt")
"""What a token may say that it is, if it says so: other things are signed by such keys, too
(RFC 8725, 3.11; RFC 9068, 2.1)."""
MIN_RSA_BITS = 2048
"""What RS256 needs (RFC 7518, 3.3)."""
UNSEAL = "unseal"
"""The scope of those who get secret outputs and sealed dead letters in clear."""
BREAK_GLASS = "breakglass"
"""The scope of those who may read of one person what their rows do not let through, and say why."""
MAX_REASON = 500
"""Characters of the reason."""
MAX_TOKEN = 16_384
"""Characters that a token may have."""
LOOK_SECONDS = 1.0
"""How often the file of keys is looked at."""

# joserfc says at each use that RFC 9864 prefers the name Ed25519; tokens of today say EdDSA.
warnings.filterwarnings("ignore", message="EdDSA is deprecated", module="joserfc")


class TooMany(Exception):
    """The subject of a token has too many connections; args: (reason,)."""


class Refused(Exception):
    """A token, or a break-glass read, that is not taken; args: (reason,), with no part of it."""


@dataclass(frozen=True)
class Access:
    """What one subject may.

    ``scopes`` are words such as ``read:market.bars``; ``rows`` limit records by the values of
    a field; ``expires_s`` is Unix time, None for never.
    """

    subject: str
    scopes: frozenset[str]
    rows: Mapping[str, frozenset[str]]
    expires_s: float | None

    def may(self, scope: str) -> bool:
        """Return whether the scope was given as it is, or all are."""
        return "*" in self.scopes or scope in self.scopes

    def speaks_of(self, fields: Iterable[str], *, private: bool = False) -> bool:
        """Return whether all rows may be seen, or those allowed are told apart by these fields.

        Of a secret output (``private``) every limit has to be one of its fields: a limit by ward
        would else fall where an output has no wards and the token names another field, too.
        """
        if private:
            return self.rows.keys() <= set(fields)
        return not self.rows or not self.rows.keys().isdisjoint(fields)

    def admits(self, values: Values) -> bool:
        """Return whether a record with these fields may be seen.

        Each field that `rows` limits and that the record has must be allowed, and there must be
        one. Of a list one text is enough: who has treated a patient may look.
        """
        # For every record and group of clients: a generator costs as much as the rest.
        if not self.rows:
            return True
        shared = False
        for name, allowed in self.rows.items():
            if name in values:
                value = values[name]
                if value not in allowed and (type(value) is str or allowed.isdisjoint(value)):
                    return False
                shared = True
        return shared

    def narrow(self, filters: Filters, source: Source) -> Filters:
        """Return filters that let through what ``filters`` do and may be seen, by own fields.

        What is compared are the fields of records of ``source``, without parts of them.
        """
        limits = source.narrowed({n: v for n, v in self.rows.items() if n in source.fields})
        asked = source.narrowed(filters)
        return {**asked, **{name: asked.get(name, limits[name]) & limits[name] for name in limits}}

    def breaking(self, source: Source, filters: Filters) -> Access:
        """Return this access for a break-glass read: of one person, in any ward.

        What ``filters`` name takes the place of the limit, so that nothing is seen of whom a bed is
        given to next. Raises Refused where they do not name one person.
        """
        privacy = source.output.privacy
        named = [name for name in privacy.named if name in filters] if privacy else []
        if privacy is None or not set(privacy.named) <= set(source.fields):
            raise Refused(f"{source.name} is not read by break-glass here")
        if len(named) != 1 or len(filters[named[0]]) != 1:
            raise Refused(f"break-glass names one {' or one '.join(privacy.named)}")
        (name,) = named
        rows = {field: values for field, values in self.rows.items() if field != privacy.lifted}
        rows[name] = filters[name] & rows.get(name, filters[name])
        return replace(self, rows=rows)

    def may_read(self, system: str, output: str) -> bool:
        """Return whether ``read:<system>.<output>`` was given; ``*`` stands for either part."""
        names = (f"{s}.{o}" for s in (system, "*") for o in (output, "*"))
        return "*" in self.scopes or any(f"read:{name}" in self.scopes for name in names)


def is_reason(text: str) -> bool:
    """Return whether a text can be the reason of a break-glass read."""
    return bool(text.strip()) and len(text) <= MAX_REASON and text.isprintable()


ANYONE = Access("anyone", frozenset({"*"}), {}, None)
"""Everybody, where there is no authentication."""


class Tokens:
    """Verifies tokens by the keys of a file, which is read again when it changes."""

    def __init__(self, jwks: Path, audience: str, issuer: str = "") -> None:
        """Read the keys. Raises SettingsError where the file cannot be used."""
        self._path = jwks
        self._audience = audience
        self._issuer = issuer
        self._lock = threading.Lock()
        self._looked_s = time.monotonic()
        self._stamp = self._stamped()
        self._keys = _load(jwks)

    def verify(self, token: str, now_s: float) -> Access:
        """Return what the bearer of a token may at ``now_s`` (Unix time). Raises Refused."""
        if len(token) > MAX_TOKEN:
            raise Refused("the token is too long")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = jwt.decode(token, self._current(), algorithms=list(ALGORITHMS))
        except (errors.JoseError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise Refused(f"the token cannot be verified ({_name(error)})") from None
        if str(found.header.get("typ", "jwt")).lower() not in TYPES:
            raise Refused("the token says that it is something else (typ)")
        return self._judge(found.claims, now_s)

    def _judge(self, claims: dict[str, Any], now_s: float) -> Access:
        expires = claims.get("exp")
        if not _is_time(expires):
            raise Refused("the token has no exp")
        if expires <= now_s:
            raise Refused("the token has expired")
        begins = claims.get("nbf", 0)
        if not _is_time(begins) or begins > now_s:
            raise Refused("the token is not valid yet")
        audience = claims.get("aud")
        if self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise Refused("the token is for another audience")
        if self._issuer and claims.get("iss") != self._issuer:
            raise Refused("the token is of another issuer")
        subject, scope = claims.get("sub", ""), claims.get("scope", "")
        if not isinstance(subject, str) or not isinstance(scope, str) or not subject.isprintable():
            raise Refused("sub and scope have to be text")
        # The star of `ANYONE` is no word of a token.
        scopes = frozenset(scope.split()) - {"*"}
        return Access(subject, scopes, _rows(claims.get("rows", {})), float(expires))

    def _current(self) -> KeySet:
        """Return the keys, read again where the file has changed; the old ones if it is broken."""
        with self._lock:
            now = time.monotonic()
            if now - self._looked_s >= LOOK_SECONDS:
                self._looked_s = now
                stamp = self._stamped()
                if stamp != self._stamp and stamp is not None:
                    try:
                        self._keys = _load(self._path)
                    except SettingsError:
                        return self._keys  # half written: looked at again in a second
                    self._stamp = stamp
            return self._keys

    def _stamped(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def _load(path: Path) -> KeySet:
    try:
        content = orjson.loads(path.read_bytes())
        if any("d" in key or key["kty"] == "oct" for key in content["keys"]):
            raise SettingsError(f"{path} holds a secret key: keep only the public ones there")
        keys = KeySet.import_key_set(content)
    except OSError as error:
        raise SettingsError(f"cannot read feed.jwks {path}: {error.strerror}") from None
    except (errors.JoseError, ValueError, KeyError, TypeError):
        raise SettingsError(f"feed.jwks {path} is no JSON Web Key Set") from None
    if any(isinstance(k, RSAKey) and k.public_key.key_size < MIN_RSA_BITS for k in keys):
        raise SettingsError(f"feed.jwks {path} holds an RSA key of less than {MIN_RSA_BITS} bits")
    return keys


def _rows(rows: object) -> dict[str, frozenset[str]]:
    good = isinstance(rows, dict) and all(
        isinstance(values, list) and all(isinstance(value, str) for value in values)
        for values in rows.values()
    )
    if not isinstance(rows, dict) or not good:
        raise Refused("rows has to be an object of lists of texts")
    return {name: frozenset(values) for name, values in rows.items()}


def _is_time(value: object) -> TypeGuard[float]:
    """Return whether a claim is a time: joserfc takes NaN, Infinity and any integer."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1 << 53


def _name(error: Exception) -> str:
    return error.error if isinstance(error, errors.JoseError) else "malformed"
