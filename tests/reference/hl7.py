"""HL7 messages by the definition, character by character: what `connectors.hl7` has to read."""

from __future__ import annotations

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"


def lines_of(text: str) -> list[str]:
    """Return the lines: CR ends one, with the LF behind it; without any CR, LF does.

    Both do where the first line ends with LF, and a segment follows.
    """
    if "\r" not in text:
        return text.split("\n")
    first = min(text.find(end) for end in "\r\n" if end in text)
    if text[first] == "\n" and begins(text[first + 1 :], text[3]):
        return text.replace("\n", "\r").split("\r")
    found = [""]
    place = 0
    while place < len(text):
        if text[place] == "\r":
            found.append("")
            if text[place + 1 : place + 2] == "\n":
                place += 1
        else:
            found[-1] += text[place]
        place += 1
    return found


def begins(line: str, separator: str) -> bool:
    """Return whether a line begins a segment."""
    return (
        len(line) > 3
        and line[0] in LETTERS
        and line[1] in LETTERS + DIGITS
        and line[2] in LETTERS + DIGITS
        and line[3] == separator
    )


def segments(text: str) -> list[str]:
    """Return the segments of a message that begins with MSH; blank lines mean nothing."""
    while text and text[-1] in "\r\n":
        text = text[:-1]
    separator = text[3]
    found: list[str] = []
    for line in lines_of(text):
        if not found or begins(line, separator):
            found.append(line)
        elif line:
            found[-1] += "\n" + line
    return found


def part(field: str, delimiters: str, component: int, subcomponent: int, repetition: int) -> str:
    """Return a part of a field as it was sent; ``delimiters`` as in MSH-2, ``^~\\&``."""
    for delimiter, place in (
        (delimiters[1], repetition),
        (delimiters[0], component),
        (delimiters[3], subcomponent),
    ):
        pieces = [""]
        for character in field:
            if character == delimiter:
                pieces.append("")
            else:
                pieces[-1] += character
        field = pieces[place - 1] if place <= len(pieces) else ""
    return field
