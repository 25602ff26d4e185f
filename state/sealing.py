"""Sealing: what a secret output, a snapshot or a dead letter looks like where it rests.

A record of a secret output becomes an *envelope*, one canonical JSON object::

    {"id": …, "key": …, "key_id": "k1", "sealed": …, "<time field>": ns}

and ``"retracted": true`` in a retraction. ``sealed`` is AES-256-GCM-SIV (RFC 8452) of the
canonical JSON of the record, in base64. ``id`` and ``key`` are keyed hashes (HMAC-SHA-256,
the first 16 bytes in hex) under an index key that is not rotated, so that an entity keeps its
place in every table.

The nonce is made of (output topic, origin, counter) and not of the run: a replay gives the
same bytes as the live flow. A corrected program may meet the same counter with another record;
SIV then shows no more than whether two records are equal.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import orjson

from state.errors import DamagedSeal, SettingsError, UnknownKey
from state.outputs import Output, to_json
from state.retraction import RETRACTED

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

    # They take numpy, whose threads would take a signal from `headrace run`'s own (supervisor.py).
    from state.records import DeadLetter, OutputBatch

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
BLOCK_BYTES = 64
"""Of SHA-256."""
HASH_BYTES = 16
"""Of HMAC-SHA-256; RFC 2104, section 5, asks for no less than half."""

_MAGIC = b"hrs1"
HEAD_BYTES = len(_MAGIC) + 1 + 32
"""So many bytes at the beginning of what `Seal.close` gives tell its key."""
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
_UNBOUND = {"key_id", "sealed"}
_FIELDS = {"id", "key", *_UNBOUND}


@dataclass(frozen=True)
class Keyring:
    """The keys of one installation: ``keys`` seal, under the name ``active``; ``index`` hashes.

    Its text form is TOML with base64: ``active``, ``index`` and a table ``keys``. No error and
    no ``repr`` shows a key.
    """

    keys: Mapping[str, bytes]
    active: str
    index: bytes

    @classmethod
    def generate(cls) -> Keyring:
        """Return a keyring with fresh random keys; the first is ``k1``."""
        return cls({"k1": os.urandom(KEY_BYTES)}, "k1", os.urandom(KEY_BYTES))

    @classmethod
    def parse(cls, text: str) -> Keyring:
        """Return the keyring of a text. Raises SettingsError, which shows nothing of it."""
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            raise _bad("is no TOML") from None
        keys = content.get("keys")
        if set(content) != {"active", "index", "keys"} or not isinstance(keys, dict):
            raise _bad("needs active, index and the table [keys], and nothing else")
        found = {name: _key(f"keys.{name}", value) for name, value in keys.items()}
        index = _key("index", content["index"])
        if any(not _KEY_ID.fullmatch(name) for name in found):
            raise _bad("has a key id that is not 1 to 32 letters, digits, _ or -")
        if content["active"] not in found:
            raise _bad("names an active key that is not among its keys")
        if len({index, *found.values()}) <= len(found):
            raise _bad("holds one key twice")
        return cls(found, content["active"], index)

    def text(self) -> str:
        """Return the text that `parse` reads."""
        lines = [f'active = "{self.active}"', f'index = "{_text(self.index)}"', "", "[keys]"]
        lines += [f'{name} = "{_text(key)}"' for name, key in self.keys.items()]
        return "\n".join(lines) + "\n"

    def rotated(self) -> Keyring:
        """Return a keyring with one more key, which is now the active one."""
        numbers = [int(name[1:]) for name in self.keys if re.fullmatch(r"k\d+", name)]
        name = f"k{max(numbers, default=0) + 1}"
        return replace(self, keys={**self.keys, name: os.urandom(KEY_BYTES)}, active=name)

    def secrets(self) -> list[str]:
        """Return every text of it that must never be printed."""
        return [_text(key) for key in (self.index, *self.keys.values())]

    def cipher(self, key_id: str) -> AESGCMSIV:
        """Return the cipher of a key. Raises UnknownKey."""
        try:
            return self._ciphers[key_id]
        except KeyError:
            raise UnknownKey(key_id[:32]) from None

    @cached_property
    def _ciphers(self) -> dict[str, AESGCMSIV]:
        # Imported here: most processes have no secret outputs, and it takes 15 MB.
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV  # noqa: PLC0415

        try:
            return {name: AESGCMSIV(key) for name, key in self.keys.items()}
        except UnsupportedAlgorithm:
            raise SettingsError(
                "sealing needs AES-GCM-SIV, which this OpenSSL lacks: install the wheel of "
                "cryptography, which brings its own"
            ) from None

    def __repr__(self) -> str:
        return f"Keyring(keys={sorted(self.keys)}, active={self.active!r})"


class Seal:
    """Seals and unseals with one keyring; pure but for the random nonce of `close`."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._index = _Hmac(keyring.index)

    @property
    def key_id(self) -> str:
        """The id of the key that seals."""
        return self._keyring.active

    def identity(self, output: Output, identity: str) -> str:
        """Return what stands for an id of ``output``.

        Source coordinates show no person and order the late records, so they stay as they are.
        """
        return identity if output.by_coordinates else self._hash("id", output.topic, identity)

    def key(self, output: Output, key: str) -> str:
        """Return what stands for a table key of ``output``; '' for none stays ''."""
        return self._hash("key", output.topic, key) if key else ""

    def fingerprint(self, purpose: str, data: bytes) -> bytes:
        """Return what stands for bytes that have no other name, in every run the same.

        It is a keyed hash: nobody without the keys can try what the bytes may be.
        """
        content = _purpose(purpose) + sha256(data).digest()
        return self._index.digest(content)[:HASH_BYTES]

    def envelope(
        self,
        output: Output,
        origin: str,
        counter: int,
        time_ns: int,
        identity: str,
        key: str,
        value: bytes,
        *,
        retracted: bool = False,
    ) -> bytes:
        """Return the envelope of a record; ``value`` is its canonical JSON.

        ``identity`` and ``key`` are the plain ones. The same arguments give the same bytes.
        """
        clear = {
            "id": self.identity(output, identity),
            "key": self.key(output, key),
            output.time: time_ns,
        }
        return self._envelope(output.topic, origin, counter, clear, value, retracted=retracted)

    def batch(self, output: Output, batch: OutputBatch) -> OutputBatch:
        """Return the batch as every sink may carry it: ids and keys hashed, values envelopes.

        Where the output has no table, an envelope's ``key`` is the hash of its message key, so
        that Kafka still keeps an entity's records in order.
        """
        ids = [self.identity(output, identity) for identity in batch.ids]
        keys = [self.key(output, key) for key in batch.keys]
        shown = keys
        if output.message_key:
            shown = [self.key(output, _field(value, output.message_key)) for value in batch.values]
        topic, time, origin, retracted = output.topic, output.time, batch.origin, batch.retracted
        rows = zip(batch.times_ns, ids, shown, batch.values, strict=True)
        values = [
            self._envelope(
                topic,
                origin,
                batch.first + row,
                {"id": identity, "key": key, time: time_ns},
                value,
                retracted=row in retracted,
            )
            for row, (time_ns, identity, key, value) in enumerate(rows)
        ]
        return replace(batch, ids=ids, keys=keys, values=values)

    def unseal(self, topic: str, envelope: bytes) -> bytes:
        """Return the canonical JSON of the record in an envelope of an output's topic.

        Raises UnknownKey, and DamagedSeal where a byte of it differs from what was sealed.
        """
        try:
            fields = orjson.loads(envelope)
        except orjson.JSONDecodeError:
            raise DamagedSeal(topic) from None
        return self.unseal_fields(topic, fields)

    def unseal_fields(self, topic: str, fields: Mapping[str, Any]) -> bytes:
        """Return the same as `unseal` of an envelope that is parsed already."""
        if not is_envelope(fields):
            raise DamagedSeal(topic)
        sealed = _decoded(fields["sealed"])
        if sealed is None or len(sealed) < NONCE_BYTES:
            raise DamagedSeal(topic)
        clear = {name: value for name, value in fields.items() if name not in _UNBOUND}
        return self._decrypt(fields["key_id"], sealed, _associated(topic, clear), topic)

    def reseal(self, topic: str, fields: Mapping[str, Any]) -> bytes:
        """Return the envelope of the same record under the active key.

        It keeps its nonce, and so it is the one that this key would have sealed in the first place.
        Raises as `unseal_fields`.
        """
        value = self.unseal_fields(topic, fields)
        nonce = (_decoded(fields["sealed"]) or b"")[:NONCE_BYTES]
        clear = {name: value for name, value in fields.items() if name not in _UNBOUND}
        return self._sealed(topic, nonce, clear, value)

    def reclose(
        self, sealed: bytes, purpose: str, change: Callable[[bytes], bytes] | None = None
    ) -> bytes:
        """Return what `close` gave under the active key, with the nonce that it had.

        ``change`` is done to the content first. Raises as `open`.
        """
        data = self.open(sealed, purpose)
        start = len(sealed) - len(data) - TAG_BYTES - NONCE_BYTES
        nonce = sealed[start : start + NONCE_BYTES]
        return self.close(change(data) if change else data, purpose, nonce)

    def close(self, data: bytes, purpose: str, nonce: bytes = b"") -> bytes:
        """Return sealed bytes that only `open` with the same ``purpose`` gives back.

        The nonce is random where none is given.
        """
        key_id = self._keyring.active
        nonce = nonce or os.urandom(NONCE_BYTES)
        head = _MAGIC + bytes([len(key_id)]) + key_id.encode()
        sealed = self._keyring.cipher(key_id).encrypt(nonce, data, _purpose(purpose))
        return head + nonce + sealed

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Return the bytes that `close` was given. Raises UnknownKey and DamagedSeal."""
        size = sealed[len(_MAGIC)] if len(sealed) > len(_MAGIC) else 0
        start = len(_MAGIC) + 1
        name, rest = sealed[start : start + size], sealed[start + size :]
        if not sealed.startswith(_MAGIC) or not _KEY_ID.fullmatch(name.decode("latin-1")):
            raise DamagedSeal(purpose)
        return self._decrypt(name.decode(), rest, _purpose(purpose), purpose)

    def letter(self, system: str, letter: DeadLetter) -> DeadLetter:
        """Return a dead letter of a system with its value and key sealed.

        The nonces are made of its coordinates: the same letter has the same bytes in every run.
        """
        purpose = letter_purpose(system)
        key = None
        if letter.key is not None:
            key = self.close(letter.key, purpose, _nonce(purpose, *letter.coordinates, "key"))
        value = self.close(letter.value, purpose, _nonce(purpose, *letter.coordinates, "value"))
        return replace(letter, key=key, value=value, sealed=True)

    def _envelope(
        self,
        topic: str,
        origin: str,
        counter: int,
        clear: dict[str, Any],
        value: bytes,
        *,
        retracted: bool,
    ) -> bytes:
        """Return the envelope of a record, beside the fields in ``clear``, which it takes over."""
        if retracted:
            clear[RETRACTED] = True
        return self._sealed(topic, _nonce(topic, origin, counter), clear, value)

    def _sealed(self, topic: str, nonce: bytes, clear: dict[str, Any], value: bytes) -> bytes:
        key_id, associated = self._keyring.active, _associated(topic, clear)
        clear["key_id"] = key_id
        # The nonce travels with the record: a reader of a file has no origin and no counter.
        clear["sealed"] = _text(
            nonce + self._keyring.cipher(key_id).encrypt(nonce, value, associated)
        )
        return to_json(clear)

    def _decrypt(self, key_id: str, sealed: bytes, associated: bytes, what: str) -> bytes:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - as in `_ciphers`

        cipher = self._keyring.cipher(key_id)
        try:
            return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], associated)
        except (InvalidTag, ValueError):
            raise DamagedSeal(what) from None

    def _hash(self, kind: str, topic: str, text: str) -> str:
        return self._index.digest(_joined(kind, topic, text))[:HASH_BYTES].hex()


class _Hmac:
    """HMAC-SHA-256 (RFC 2104) under one key, whose blocks are hashed once.

    Two of them for each record were a third of all sealing; so they take a third of `hmac`'s time.
    """

    def __init__(self, key: bytes) -> None:
        block = (key if len(key) <= BLOCK_BYTES else sha256(key).digest()).ljust(BLOCK_BYTES, b"\0")
        self._inner, self._outer = (sha256(bytes(b ^ pad for b in block)) for pad in (0x36, 0x5C))

    def digest(self, data: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(data)
        outer.update(inner.digest())
        return outer.digest()


def is_envelope(fields: object) -> bool:
    """Return whether a parsed JSON value has the form of an envelope."""
    if not isinstance(fields, dict) or not fields.keys() >= _FIELDS:
        return False
    others = {name: value for name, value in fields.items() if name not in _FIELDS}
    flag = others.pop(RETRACTED, True)
    time = list(others.values())
    texts = all(isinstance(fields[name], str) for name in _FIELDS)
    return flag is True and texts and len(time) == 1 and type(time[0]) is int


def closing_key(closed: bytes) -> str:
    """Return the id of the key that `Seal.close` used; '' where these are no such bytes."""
    head = closed[: len(_MAGIC) + 1]
    if len(head) <= len(_MAGIC) or not head.startswith(_MAGIC):
        return ""
    name = closed[len(head) : len(head) + head[-1]].decode("latin-1")
    return name if _KEY_ID.fullmatch(name) else ""


def letter_purpose(system: str) -> str:
    """Return the purpose under which a system's dead letters are sealed."""
    return f"{system}.dead"


def _field(value: bytes, name: str) -> str:
    """Return a field of a JSON record as text; '' where it has none."""
    found = orjson.loads(value).get(name)
    return "" if found is None else str(found)


def _associated(topic: str, clear: Mapping[str, Any]) -> bytes:
    """Return what is authenticated beside the record: its output and the fields in clear."""
    return _joined("output", topic, sorted(clear.items()))


def _purpose(purpose: str) -> bytes:
    return _joined("bytes", purpose)


def _nonce(*parts: object) -> bytes:
    return sha256(_joined(*parts)).digest()[:NONCE_BYTES]


def _joined(*parts: object) -> bytes:
    """Return parts as bytes that no other parts give."""
    return orjson.dumps(parts)


def _key(name: str, value: object) -> bytes:
    key = _decoded(value) if isinstance(value, str) else None
    if key is None or len(key) != KEY_BYTES:
        raise _bad(f"has no {KEY_BYTES} bytes in base64 at {name[:40]}")
    return key


def _bad(reason: str) -> SettingsError:
    return SettingsError(f"the keyring {reason}: `headrace keys new FILE` writes a good one")


def _text(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


def _decoded(text: str) -> bytes | None:
    """Return the bytes of base64 as `_text` writes it, None where it does not."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if _text(data) == text else None
