"""Sealed files of a replay or an export under the key that seals now, line by line."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from flows.engine.resealing import Count, names_former
from replay.rewrap import alone
from state.disk import put_in_place
from state.errors import CannotUnseal, Misuse
from state.outputs import DEAD, to_json
from state.sealed_values import is_sealed, keys_of_letter, rewrapped
from state.sealing import Seal, closing_key, is_envelope, letter_purpose

_CONTENT = ("key", "value")


def reseal_file(path: Path, topic: str, count: Count, seal: Seal, *, reseals: bool) -> None:
    """Count the lines of a file that holds an output, or dead letters, and seal them anew.

    The file is written beside and put in the place of the former one. Raises Misuse where it
    cannot be read or written, and CannotUnseal.
    """
    dead = topic.endswith(f".{DEAD}")
    again = _letters(topic, seal) if dead else _records(topic, seal)
    named = _keys_of_letters(topic, seal) if dead else _keys_of_record
    try:
        if reseals and any(names_former(seal.key_id, named(line)) for line in _lines(path)):
            with alone(path) as (whole, draft):
                with draft.open("wb") as out:
                    for line in _lines(whole):
                        former = names_former(seal.key_id, named(line))
                        out.write((again(line) if former else line) + b"\n")
                put_in_place(draft, whole)
        for line in _lines(path):
            count.add(seal.key_id, *named(line))
    except OSError as error:
        raise Misuse(f"cannot read or write {path}: {error.strerror}") from None
    except (orjson.JSONDecodeError, binascii.Error, AttributeError) as error:
        raise Misuse(f"{path} holds a line that is no record of {topic}") from error


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            yield line.rstrip(b"\n")


def _keys_of_record(line: bytes) -> set[str]:
    fields = orjson.loads(line)
    return {str(fields["key_id"])} if is_envelope(fields) else set()


def _records(topic: str, seal: Seal) -> Callable[[bytes], bytes]:
    return lambda line: seal.reseal(topic, orjson.loads(line))


def _keys_of_letters(topic: str, seal: Seal) -> Callable[[bytes], set[str]]:
    purpose = letter_purpose(topic.removesuffix(f".{DEAD}"))

    def named(line: bytes) -> set[str]:
        parts = _parts(orjson.loads(line)).values()
        return {each for part in parts for each in keys_of_letter(part, seal, purpose)}

    return named


def _letters(topic: str, seal: Seal) -> Callable[[bytes], bytes]:
    purpose = letter_purpose(topic.removesuffix(f".{DEAD}"))

    def again(line: bytes) -> bytes:
        letter = orjson.loads(line)
        for name, part in _parts(letter).items():
            letter[name] = base64.b64encode(_again(part, seal, purpose)).decode()
        return to_json(letter)

    return again


def _parts(letter: dict[str, Any]) -> dict[str, bytes]:
    return {name: base64.b64decode(letter[name]) for name in _CONTENT if letter.get(name)}


def _again(part: bytes, seal: Seal, purpose: str) -> bytes:
    if not closing_key(part):
        return _message_again(part, seal)
    return seal.reclose(part, purpose, partial(_message_again, seal=seal))


def _message_again(message: bytes, seal: Seal) -> bytes:
    """Seal the data key of a message that did not open anew, if it opens now."""
    try:
        return rewrapped(message, seal) if is_sealed(message) else message
    except CannotUnseal:
        return message
