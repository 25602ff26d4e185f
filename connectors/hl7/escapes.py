r"""Escape sequences: what stands between two escape characters in a message's text.

Source: HL7 v2.9, 2.7. A sequence is read once: ``\E\T\E\`` is the text ``\T\``. What is no
sequence stays as it was sent, and so do the site's own (``\Z..\``).
"""

from __future__ import annotations

import re
from functools import lru_cache, partial

from connectors.hl7.charsets import SHIFTED
from connectors.hl7.delimiters import NONE, Delimiters

SEQUENCE = (
    r"[FSTREPHN]"
    r"|X[0-9A-Fa-f]+"
    r"|\.(?:br|sp|in|ti|sk|ce|fi|nf)\s*(?:[+-]?[0-9]{1,3})?"
    r"|C[0-9A-Fa-f]{4}|M[0-9A-Fa-f]{4}(?:[0-9A-Fa-f]{2})?"
    r"|Z[A-Za-z0-9.]*"
)
COMMAND = re.compile(r"\.(..)\s*[+-]?([0-9]*)")
"""A command of layout in the type FT; its number says how many lines or spaces."""
TRUNCATION = "#"
"""What ``P`` stands for, unless MSH-2 declares another mark, which nobody does."""


def unescape(text: str, delimiters: Delimiters, codec: str) -> str:
    """Return the text with its sequences replaced; hexadecimal bytes are of ``codec``."""
    escape = delimiters.escape
    if escape not in text:
        return text
    pattern = _pattern(escape)
    found = pattern.findall(text)
    if any(sequence[0] in "CM" for sequence in found):
        return _shifted(pattern, text, delimiters)
    told = partial(_told, delimiters=delimiters, codec=codec)
    return pattern.sub(told, text) if found else text


@lru_cache(maxsize=64)
def _pattern(escape: str) -> re.Pattern[str]:
    return re.compile(f"{re.escape(escape)}({SEQUENCE}){re.escape(escape)}")


def _told(match: re.Match[str], delimiters: Delimiters, codec: str) -> str:
    """Return what one sequence stands for."""
    sequence = match[1]
    kind = sequence[0]
    if kind == "X":
        return _characters(sequence[1:], codec)
    if kind == ".":
        return _layout(sequence)
    character = {
        "F": delimiters.field,
        "S": delimiters.component,
        "T": delimiters.subcomponent,
        "R": delimiters.repetition,
        "E": delimiters.escape,
        "P": TRUNCATION,
        "H": "",
        "N": "",
    }.get(kind, NONE)
    return match[0] if character == NONE else character


def _characters(digits: str, codec: str) -> str:
    """Return hexadecimal bytes as text; before an odd number of digits comes a zero.

    Zero bytes are dropped, as they are from the message.
    """
    data = bytes.fromhex(digits.zfill(len(digits) + len(digits) % 2)).replace(b"\0", b"")
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        return data.decode("latin_1")


def _layout(sequence: str) -> str:
    """Return the white space that a line of text needs of a command."""
    found = COMMAND.fullmatch(sequence)
    assert found is not None, "the pattern of sequences has the same form"
    command, count = found[1], int(found[2] or 1)
    if command in {"br", "ce"}:
        return "\n"
    if command == "sp":
        return "\n" * count
    return " " * count if command in {"sk", "ti"} else ""


def _shifted(pattern: re.Pattern[str], text: str, delimiters: Delimiters) -> str:
    """Return text of which sequences (C, M) say that another character set begins.

    Each is an escape sequence of ISO 2022 without its first byte, and goes for the text up to the
    next one. Where that text does not follow it, both stay as they were sent.
    """
    shifts = [match for match in pattern.finditer(text) if match[1][0] in "CM"]
    ends = [*(match.start() for match in shifts[1:]), len(text)]
    told = partial(_told, delimiters=delimiters, codec=SHIFTED)
    found = [pattern.sub(told, text[: shifts[0].start()])]
    for shift, end in zip(shifts, ends, strict=True):
        found.append(_run(shift, pattern.sub(told, text[shift.end() : end])))
    return "".join(found)


def _run(shift: re.Match[str], text: str) -> str:
    """Return the text behind a shift in that character set."""
    try:
        data = b"\x1b" + bytes.fromhex(shift[1][1:]) + text.encode("ascii")
        found = data.decode(SHIFTED)
    except UnicodeError:
        return shift[0] + text
    return found if "\x1b" not in found else shift[0] + text
