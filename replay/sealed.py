"""Sealed recordings: keys and values cell by cell, under a data key for each row group.

A sealed cell is a random nonce of 12 bytes, then AES-256-GCM of its bytes. Authenticated with it
are the format, the column, the topic, the partition and the offset, so that no cell opens in the
place of another one. A null stays null. The data keys lie in the file's metadata, each sealed with
the keyring's active key (`state.sealing`), whose id is there in clear::

    headrace.sealed = {"cipher": "AES-256-GCM", "data_keys": ["…", null], "key_id": "k1"}

with null for a row group of a topic that is not secret. A recording of a secret topic that was
wanted in clear has ``{"plaintext": true}`` there.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import orjson
import pyarrow as pa

from state.errors import CannotUnseal, DamagedSeal, Misuse, UnknownKey
from state.sealed_values import is_secret
from state.sealing import KEY_BYTES, NONCE_BYTES, Seal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SEALED_FORMAT = 2
"""The format version of a recording with sealed cells, which earlier programs cannot read."""
SEALED_KEY = b"headrace.sealed"
PLAINTEXT: Final = "plaintext"
Protection = Seal | Literal["plaintext"] | None
"""What protects a recording: a seal, nothing on purpose, or None where no topic is secret."""
Keys = Callable[[], Seal | None]
"""Called only for a sealed recording: the seal in force, or None where there are no keys."""

_CIPHER = "AES-256-GCM"
_PURPOSE = "recording"
_COLUMNS = ("key", "value")


class Sealer:
    """Seals the row groups of a file that is written, and keeps their data keys."""

    def __init__(self, protection: Protection, topics: Iterable[str]) -> None:
        """Raise ValueError where a topic is secret and nothing says what protects it."""
        secret = any(map(is_secret, topics))
        if secret and protection is None:
            raise ValueError("a recording of a secret topic needs a seal, or PLAINTEXT")
        self._seal = protection if secret and isinstance(protection, Seal) else None
        self._plaintext = secret and self._seal is None
        self._data_keys: list[bytes | None] = []

    @property
    def seals(self) -> bool:
        """Whether the file will have sealed cells."""
        return self._seal is not None

    def row_group(self, topic: str, partition: int, table: pa.Table) -> pa.Table:
        """Return the next row group as it is to be written; ``table`` has the columns of content.

        Every row group must be given, in the order of the file.
        """
        if self._seal is None or not is_secret(topic):
            self._data_keys.append(None)
            return table
        data_key = os.urandom(KEY_BYTES)
        self._data_keys.append(data_key)
        cipher = _cipher(data_key)

        def sealed(cell: bytes, associated: bytes) -> bytes:
            nonce = os.urandom(NONCE_BYTES)
            return nonce + cipher.encrypt(nonce, cell, associated)

        return _mapped(table, topic, partition, sealed)

    def metadata(self) -> dict[bytes, bytes]:
        """Return what the file's metadata say of the protection; {} where no topic is secret."""
        if self._seal is not None:
            return sealed_metadata(self._data_keys, self._seal)
        return {SEALED_KEY: b'{"plaintext":true}'} if self._plaintext else {}


class Wrapped(NamedTuple):
    """The data keys of a sealed file by row group, as they rest in it."""

    path: Path
    key_id: str
    """That of the key that wraps them."""
    data_keys: list[bytes | None]

    def opened(self, keys: Keys) -> Ciphers:
        """Return the ciphers of the row groups; raises Misuse, which names the key id."""
        return [None if key is None else _cipher(key) for key in self.unwrapped(keys)]

    def unwrapped(self, keys: Keys) -> list[bytes | None]:
        """Return the data keys themselves; raises Misuse, which names the key id."""
        seal = keys()
        if seal is None:
            raise self.locked()
        try:
            return [None if key is None else seal.open(key, _PURPOSE) for key in self.data_keys]
        except UnknownKey:
            raise self.locked() from None
        except CannotUnseal:
            raise Misuse(
                f"the key {self.key_id!r} does not open {self.path}: the file is damaged, or was "
                "sealed with another key of the same id"
            ) from None

    def locked(self) -> Misuse:
        """Return the error of somebody who lacks the key."""
        return Misuse(
            f"{self.path} is sealed with the key {self.key_id!r}, which is not here: set "
            "HEADRACE_KEY_FILE to its key file"
        )


Ciphers = list["AESGCM | None"]
"""One for each row group; None where it is in clear."""


def sealed_metadata(data_keys: Iterable[bytes | None], seal: Seal) -> dict[bytes, bytes]:
    """Return what a sealed file's metadata say of its data keys, one for each row group."""
    closed = [None if key is None else seal.close(key, _PURPOSE) for key in data_keys]
    texts = [None if key is None else base64.b64encode(key).decode() for key in closed]
    said = {"cipher": _CIPHER, "data_keys": texts, "key_id": seal.key_id}
    return {SEALED_KEY: orjson.dumps(said)}


def wrapped(path: Path, metadata: dict[bytes, bytes], row_groups: int) -> Wrapped | None:
    """Return the data keys of a file by its metadata; None where it is in clear. Raises Misuse."""
    said = metadata.get(SEALED_KEY)
    try:
        found = {} if said is None else orjson.loads(said)
        if not found or found.get("plaintext"):
            return None
        keys = [None if key is None else base64.b64decode(key) for key in found["data_keys"]]
        key_id = str(found["key_id"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _damaged(path) from None
    if found.get("cipher") != _CIPHER or len(keys) != row_groups:
        raise _damaged(path)
    return Wrapped(path, key_id, keys)


def opened(
    cipher: AESGCM | None, path: Path, topic: str, partition: int, table: pa.Table
) -> pa.Table:
    """Return a row group in clear. Raises DamagedSeal, which names the place of the first fault."""
    if cipher is None:
        return table
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - as in state.sealing

    def clear(cell: bytes, associated: bytes) -> bytes:
        try:
            return cipher.decrypt(cell[:NONCE_BYTES], cell[NONCE_BYTES:], associated)
        except (InvalidTag, ValueError):
            where = associated.decode().partition("/")[2]
            raise DamagedSeal(f"{path} ({where})") from None

    return _mapped(table, topic, partition, clear)


def _mapped(
    table: pa.Table, topic: str, partition: int, change: Callable[[bytes, bytes], bytes]
) -> pa.Table:
    """Return the table with each cell of its secret columns changed, nulls left as they are."""
    offsets = table.column("offset").to_pylist()
    for name in _COLUMNS:
        cells: list[Any] = table.column(name).to_pylist()
        made = [
            None if cell is None else change(cell, _associated(name, topic, partition, offset))
            for cell, offset in zip(cells, offsets, strict=True)
        ]
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(name), pa.array(made, pa.binary()))
    return table


def _associated(column: str, topic: str, partition: int, offset: int) -> bytes:
    """Return what is authenticated beside a cell. A topic's name has no slash."""
    return f"{SEALED_FORMAT}/{column}/{topic}/{partition}/{offset}".encode()


def _damaged(path: Path) -> Misuse:
    return Misuse(f"{path} is damaged: its metadata {SEALED_KEY.decode()} cannot be read")


def _cipher(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - as above

    return AESGCM(key)
