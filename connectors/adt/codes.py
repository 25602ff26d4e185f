"""What stands for patients, visits and beds in tables that tell of no person.

A code is 32 letters: 128 bits, four to a letter, without vowels and digits, so that none spells a
word or looks like a number.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from state.errors import CannotUnseal, Misuse
from state.sealed_files import held, write_sealed
from state.sealing import Seal

PURPOSE = "adt.codes"
CODE_BYTES = 16
_LETTERS = "bcdfghjklmnpqrst"
Parts = tuple[str, ...]


class Codes:
    """Random codes, of the operating system, each kept for what it stands for.

    A code that is made of a record number, were it by a keyed hash, is one that is derived from
    information about the person: 45 CFR 164.514(c)(1) does not allow it.
    """

    def __init__(self, known: dict[str, str] | None = None) -> None:
        self.known = {} if known is None else known
        """What stands for it, by a text of what it stands for."""

    def code(self, kind: str, parts: Parts, former: Iterable[Parts] = ()) -> str:
        """Return the code of what ``parts`` name; see `operators.adt.deidentify.Names`."""
        key = _key(kind, parts)
        if key not in self.known:
            # Taken over and not shared: were the merge undone, there would be two of one code.
            found = (self.known.pop(_key(kind, each), None) for each in former)
            self.known[key] = next(filter(None, found), None) or _letters(os.urandom(CODE_BYTES))
        return self.known[key]

    def days(self, _: Parts) -> int:
        """Return 0: no time is moved where codes are random."""
        return 0


class Pseudonyms:
    """Keyed hashes as codes, and from them too by how many days times move: at most ``most``."""

    def __init__(self, seal: Seal, most: int) -> None:
        self._seal, self._most = seal, most

    def code(self, kind: str, parts: Parts, former: Iterable[Parts] = ()) -> str:
        """Return the pseudonym of what ``parts`` name, whatever was merged into it."""
        return _letters(self._seal.fingerprint("adt.pseudonym", _key(kind, parts).encode()))

    def days(self, parts: Parts) -> int:
        """Return from ``-most`` to ``most``."""
        found = self._seal.fingerprint("adt.days", _key("patient", parts).encode())
        return int.from_bytes(found) % (2 * self._most + 1) - self._most


@contextmanager
def kept_codes(path: Path, seal: Seal) -> Iterator[Codes]:
    """Yield the codes of a sealed file, and write what they are in the end, whole or not at all.

    One process at a time has them. Raises Misuse where the file does not open.
    """
    with held(path):
        codes = Codes(_read(path, seal))
        yield codes
        write_sealed(path, seal.close(orjson.dumps(codes.known), PURPOSE))


def _read(path: Path, seal: Seal) -> dict[str, str]:
    try:
        known: dict[str, str] = orjson.loads(seal.open(path.read_bytes(), PURPOSE))
    except FileNotFoundError:
        return {}
    except (OSError, CannotUnseal) as error:
        raise Misuse(f"cannot read the codes in {path}: {error}") from None
    return known


def _key(kind: str, parts: Parts) -> str:
    return orjson.dumps((kind, *parts)).decode()


def _letters(data: bytes) -> str:
    return "".join(_LETTERS[byte >> 4] + _LETTERS[byte & 15] for byte in data)
