"""JSON messages, read within bounds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from state.errors import Malformed

MAX_JSON = 65_536
"""The most bytes of a JSON message."""
MAX_DEPTH = 100
"""How deep arrays and objects lie in one another at most."""

_TOKEN = re.compile(
    rb"[ \t\n\r]*(?:"
    rb'(?P<text>"(?:[^"\\\x00-\x1f]|\\.)*")'
    rb"|(?P<number>-?(?:0|[1-9][0-9]*)(?P<real>\.[0-9]+)?(?P<power>[eE][+-]?[0-9]+)?)"
    rb"|(?P<word>true|false|null)"
    rb"|(?P<mark>[{}\[\],:])"
    rb"|(?P<end>\Z))"
)
_INTEGERS = range(-(2**63), 2**64)
"""Whole numbers beyond these are doubles, as orjson has it."""
_MOST_DIGITS = 20

Token = tuple[str, Any]
"""``value`` with a text, number, bool or None; a mark with itself; ``end``."""


def parse_json(value: bytes, most: int = MAX_JSON) -> dict[str, Any]:
    """Return the fields of a JSON message of at most ``most`` bytes.

    Raises Malformed where the bytes are no JSON object or too many. RFC 8259; of fields
    with the same name the last one counts. A field that nobody reads must not decide about its
    message: a number beyond the doubles is an infinity, and what lies deeper than `MAX_DEPTH` is
    None, for what comes of it has to be pickled and written again.
    """
    if len(value) > most:
        raise Malformed(f"a message of {len(value)} bytes; JSON has at most {most}")
    try:
        fields = orjson.loads(value)
        if value.count(b"[") + value.count(b"{") > MAX_DEPTH:
            fields = _read(_tokens(value))
    except orjson.JSONDecodeError as error:
        try:
            fields = _read(_tokens(value))
        except ValueError:
            raise Malformed(f"no JSON, from character {error.pos} on") from None
    if type(fields) is not dict:
        raise Malformed("the JSON is not an object")
    return fields


def parse_texts(value: bytes) -> dict[str, Any]:
    """Return the fields of some JSON, its numbers with a point or a power as their text.

    Raises Malformed.
    """
    try:
        fields = _read(_tokens(value, str))
    except ValueError:
        raise Malformed("no JSON") from None
    if type(fields) is not dict:
        raise Malformed("the JSON is not an object")
    return fields


def _read(tokens: Iterator[Token]) -> Any:
    """Return the value of some JSON, without orjson's limits; slow, and met by odd messages alone.

    Raises ValueError where it is none.
    """
    outer: list[Any] = []
    names: list[str] = []
    token = next(tokens)
    while True:
        if token[0] in "{[":
            outer.append({} if token[0] == "{" else [])
            token = next(tokens)
            if token[0] != _closing(outer[-1]):
                token = _entry(token, outer[-1], names, tokens)
                continue
            value = _closed(outer)
        else:
            value = _value(token)
        while outer:
            if isinstance(outer[-1], dict):
                outer[-1][names.pop()] = value
            else:
                outer[-1].append(value)
            token = next(tokens)
            if token[0] == ",":
                token = _entry(next(tokens), outer[-1], names, tokens)
                break
            _check(token, _closing(outer[-1]))
            value = _closed(outer)
        else:
            _check(next(tokens), "end")
            return value


def _entry(
    token: Token, container: dict[str, Any] | list[Any], names: list[str], tokens: Iterator[Token]
) -> Token:
    """Return the first token of an entry's value; that of an object has a name before it."""
    if isinstance(container, list):
        return token
    name = _value(token)
    if not isinstance(name, str):
        raise ValueError("a name that is no text")  # noqa: TRY004  # the message's fault, not ours
    names.append(name)
    _check(next(tokens), ":")
    return next(tokens)


def _closed(outer: list[Any]) -> Any:
    """Return the container that has ended, None where it lies too deep."""
    is_deep = len(outer) > MAX_DEPTH
    value = outer.pop()
    return None if is_deep else value


def _closing(container: dict[str, Any] | list[Any]) -> str:
    return "}" if isinstance(container, dict) else "]"


def _value(token: Token) -> Any:
    _check(token, "value")
    return token[1]


def _check(token: Token, kind: str) -> None:
    if token[0] != kind:
        raise ValueError(f"{token[0]} in place of {kind}")


def _tokens(data: bytes, real: Callable[[str], Any] = float) -> Iterator[Token]:
    """Yield the tokens of some JSON, the last one ``end``; raises ValueError."""
    at = 0
    while found := _TOKEN.match(data, at):
        at = found.end()
        kind, text = str(found.lastgroup), found[str(found.lastgroup)]
        if kind == "end":
            yield "end", None
            break
        if kind == "mark":
            yield text.decode(), None
        elif found["number"] is None:
            yield "value", orjson.loads(text)
        elif found["real"] or found["power"]:
            yield "value", real(text.decode())
        else:
            yield "value", _integer(text)
    raise ValueError("no token")


def _integer(text: bytes) -> int | float:
    if len(text) <= _MOST_DIGITS and int(text) in _INTEGERS:
        return int(text)
    return float(text)
