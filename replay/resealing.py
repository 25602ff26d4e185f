"""Sealed files of a replay or an export under the key that seals now, line by line."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from flows.engine.resealing import Count
from replay.rewrap import alone
from state.disk import put_in_place
from state.errors import Misuse
from state.outputs import DEAD, to_json
from state.sealing import Seal, closing_key, is_envelope, letter_purpose

_CONTENT = ("key", "value")


def reseal_file(path: Path, topic: str, count: Count, seal: Seal, *, reseals: bool) -> None:
    """Count the lines of a file that holds an output, or dead letters, and seal them anew.

    The file is written beside and put in the place of the former one. Raises Misuse where it
    cannot be read or written, and CannotUnseal.
    """
    dead = topic.endswith(f".{DEAD}")
    again = _letters(topic, seal) if dead else _records(topic, seal)
    named = _key_of_letter if dead else _key_of_record
    try:
        if reseals and _names_former(path, named, seal):
            with alone(path) as (whole, partial):
                with partial.open("wb") as out:
                    for line in _lines(whole):
                        same = named(line) in ("", seal.key_id)
                        out.write((line if same else again(line)) + b"\n")
                put_in_place(partial, whole)
        for line in _lines(path):
            count.add(named(line), seal.key_id)
    except OSError as error:
        raise Misuse(f"cannot read or write {path}: {error.strerror}") from None


def _names_former(path: Path, named: Callable[[bytes], str], seal: Seal) -> bool:
    return any(named(line) not in ("", seal.key_id) for line in _lines(path))


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            yield line.rstrip(b"\n")


def _key_of_record(line: bytes) -> str:
    fields = orjson.loads(line)
    return str(fields["key_id"]) if is_envelope(fields) else ""


def _records(topic: str, seal: Seal) -> Callable[[bytes], bytes]:
    return lambda line: seal.reseal(topic, orjson.loads(line))


def _key_of_letter(line: bytes) -> str:
    letter = orjson.loads(line)
    if not letter.get("sealed"):
        return ""
    named = [closing_key(base64.b64decode(letter[name])) for name in _CONTENT if letter.get(name)]
    return next(filter(None, named), "")


def _letters(topic: str, seal: Seal) -> Callable[[bytes], bytes]:
    purpose = letter_purpose(topic.removesuffix(f".{DEAD}"))

    def again(line: bytes) -> bytes:
        letter = orjson.loads(line)
        for name in _CONTENT:
            if letter.get(name):
                content = seal.reclose(base64.b64decode(letter[name]), purpose)
                letter[name] = base64.b64encode(content).decode()
        return to_json(letter)

    return again
