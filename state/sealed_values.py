"""Sealed values of messages: what our producers write into a topic of patient data.

::

    value = MAGIC, length of the data key (1 byte), data key, nonce (12 bytes), AES-256-GCM

The data key is 32 random bytes that a producer makes for itself, sealed with the keyring's active
key (`state.sealing`), whose id is in it in clear. Format and topic are authenticated with each
value; a partition and an offset are not known yet when it is sealed. What does not begin with
MAGIC is a value in clear. No text in UTF-8 begins with its first byte, and so neither HL7 nor JSON.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import orjson

from state.errors import DamagedSeal, NoKeys, UnknownKey
from state.sealing import KEY_BYTES, NONCE_BYTES, Seal, closing_key, is_envelope

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"\x8ahrm\x01"
"""The last byte is the version of the format."""
SECRET = ("adt.", "notes.")
"""How the names of secret topics begin. By name and not by the registry of systems: what a topic
holds is protected whatever system is installed where it is written or recorded."""
MOST_VALUES = 1 << 30
"""Sealed under one data key: with random nonces, NIST SP 800-38D (8.3) allows 2^32."""

_PURPOSE = "message"
_KEPT = 1024
"""Data keys that are remembered; each start of a producer makes one."""


def is_secret(topic: str) -> bool:
    """Return whether our tools seal the values of a topic, and keys and values in recordings."""
    return topic.startswith(SECRET)


def is_sealed(value: bytes) -> bool:
    """Return whether a value has the form of a sealed one."""
    return value.startswith(MAGIC)


def key_of(value: bytes) -> str:
    """Return the id of the key that the value of a message names; '' for one in clear.

    It may be a sealed value, an envelope or a sealed dead letter.
    """
    if is_sealed(value):
        return closing_key(value[len(MAGIC) + 1 :])
    if value.startswith(b"{") and b'"key_id"' in value:
        try:
            fields = orjson.loads(value)
        except orjson.JSONDecodeError:
            return ""
        return str(fields["key_id"]) if is_envelope(fields) else ""
    return closing_key(value)


def keys_of_letter(part: bytes, seal: Seal, purpose: str) -> set[str]:
    """Return the ids of the keys that it takes to read the key or the value of a dead letter.

    Those are its own, and where it holds a message that did not open, that of the message. The
    latter stays unknown where the former is missing. Raises DamagedSeal.
    """
    own = closing_key(part)
    try:
        content = seal.open(part, purpose) if own else part
    except UnknownKey:
        content = b""
    return {own, key_of(content)} - {""}


def rewrapped(value: bytes, seal: Seal) -> bytes:
    """Return a sealed value with its data key sealed by the active key.

    Raises UnknownKey and DamagedSeal.
    """
    start, end = _data_key(value)
    wrapped = seal.reclose(value[start:end], _PURPOSE)
    return MAGIC + bytes([len(wrapped)]) + wrapped + value[end:]


class ValueSealer:
    """Seals the values of one topic, under data keys of its own."""

    def __init__(self, seal: Seal, topic: str, most: int = MOST_VALUES) -> None:
        self._seal = seal
        self._associated = _associated(topic)
        self._most = most
        self._left = 0
        self._head = b""
        self._cipher: AESGCM | None = None

    def seal(self, value: bytes) -> bytes:
        """Return a value as it goes to Kafka; what is empty or sealed already stays as it is."""
        if not value or is_sealed(value):
            return value
        cipher = self._cipher
        if cipher is None or not self._left:
            cipher = self._renew()
        self._left -= 1
        nonce = os.urandom(NONCE_BYTES)
        return self._head + nonce + cipher.encrypt(nonce, value, self._associated)

    def _renew(self) -> AESGCM:
        data_key = os.urandom(KEY_BYTES)
        wrapped = self._seal.close(data_key, _PURPOSE)
        self._head = MAGIC + bytes([len(wrapped)]) + wrapped
        self._left = self._most
        self._cipher = _cipher(data_key)
        return self._cipher


class ValueOpener:
    """Opens values of any topic with one seal; None opens those in clear alone."""

    def __init__(self, seal: Seal | None) -> None:
        self._seal = seal
        self._ciphers: dict[bytes, AESGCM] = {}

    def __deepcopy__(self, memo: object) -> ValueOpener:
        # A replay copies its decoders for each shard; keys and ciphers may be shared by all.
        return self

    def open(self, topic: str, value: bytes) -> bytes:
        """Return a value in clear; one that is in clear stays as it is.

        Raises NoKeys, UnknownKey, and DamagedSeal where a byte of it or its topic was altered.
        """
        if not is_sealed(value):
            return value
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - as in state.sealing

        start, end = _data_key(value)
        cipher = self._cipher(topic, value[start:end])
        nonce, content = value[end : end + NONCE_BYTES], value[end + NONCE_BYTES :]
        try:
            return cipher.decrypt(nonce, content, _associated(topic))
        except (InvalidTag, ValueError):
            raise DamagedSeal(topic) from None

    def _cipher(self, topic: str, wrapped: bytes) -> AESGCM:
        cipher = self._ciphers.get(wrapped)
        if cipher is not None:
            return cipher
        if self._seal is None:
            raise NoKeys(f"messages of {topic}")
        try:
            cipher = _cipher(self._seal.open(wrapped, _PURPOSE))
        except DamagedSeal:
            raise DamagedSeal(topic) from None
        if len(self._ciphers) >= _KEPT:
            self._ciphers.clear()
        self._ciphers[wrapped] = cipher
        return cipher


def _data_key(value: bytes) -> tuple[int, int]:
    """Return where in a sealed value its data key begins and ends."""
    start = len(MAGIC) + 1
    return start, start + value[len(MAGIC)] if len(value) >= start else start


def _associated(topic: str) -> bytes:
    """Return what is authenticated beside a value: the format and where it belongs."""
    return MAGIC + topic.encode()


def _cipher(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - as above

    return AESGCM(key)
