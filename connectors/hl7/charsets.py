"""The character set of a message: what MSH-18 says, as far as the bytes agree."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

SHIFTED = "iso2022_jp_2"
"""Characters of several sets, with escape sequences (ISO 2022) between them."""
CODECS = {
    "ASCII": "ascii",
    **{f"8859/{part}": f"iso8859_{part}" for part in (*range(1, 10), 13, 14, 15, 16)},
    "ISO IR6": "ascii",
    "ISO IR14": SHIFTED,
    "ISO IR87": SHIFTED,
    "ISO IR159": SHIFTED,
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5",
    "UNICODE": "utf_8",
    "UNICODE UTF-8": "utf_8",
    "UTF-8": "utf_8",
    "UTF8": "utf_8",
    "WINDOWS-1252": "cp1252",
}
"""HL7 table 0211 and three names that are sent all the same. UTF-16 and UTF-32 are not here, for
MSH-18 cannot be read before one knows of them. Python has no EUC-TW."""
MARKS = {
    b"\xff\xfe\0\0": "utf_32",
    b"\0\0\xfe\xff": "utf_32",
    b"\xff\xfe": "utf_16",
    b"\xfe\xff": "utf_16",
}
"""The byte order marks of wide characters; the longer ones come first."""


class Decoded(NamedTuple):
    """Text, the codec that gave it, and whether another one was declared."""

    text: str
    codec: str
    mismatch: bool


LONGEST = 200
"""More characters of MSH-18 are not looked at, and need not be kept."""


def codecs_of(labels: bytes, repetition: str) -> tuple[str, ...]:
    """Return a codec for each repetition of MSH-18 that is not empty, "" for an unknown one."""
    return _codecs_of(labels[:LONGEST], repetition)


@lru_cache(maxsize=256)
def _codecs_of(labels: bytes, repetition: str) -> tuple[str, ...]:
    each = labels.decode("latin_1").split(repetition)
    return tuple(CODECS.get(label.strip().upper(), "") for label in each if label.strip())


def decode(data: bytes, declared: tuple[str, ...], default: str, *, marked: bool) -> Decoded:
    """Return the text by the first declared codec, else as UTF-8, else by the site's default.

    ``marked``: UTF-8's byte order mark stood before it, which is surer than a label.
    No message is lost for a character, and none gets another one in its place: what even the
    default does not have is read as Latin-1, which has all. A later codec may be one that escape
    sequences shift to; where there are any, it counts.
    """
    if data.isascii() and SHIFTED not in declared:
        codec, mismatch = _of_ascii(declared, default, marked)
        return Decoded(data.decode("ascii"), codec, mismatch)
    return _decode(data, declared, default, marked=marked)


@lru_cache(maxsize=256)
def _of_ascii(declared: tuple[str, ...], default: str, marked: bool) -> tuple[str, bool]:
    """Return codec and mismatch of ASCII, which all codecs here but the shifted one read alike."""
    return _decode(b"A", declared, default, marked=marked)[1:]


def _decode(data: bytes, declared: tuple[str, ...], default: str, *, marked: bool) -> Decoded:
    wanted = declared[:1]
    if marked and wanted != ("utf_8",):
        found = _decode(data, ("utf_8",), default, marked=False)
        return found._replace(mismatch=found.mismatch or bool(wanted))
    if SHIFTED in declared and b"\x1b" in data:
        wanted = (SHIFTED, *wanted)
    for codec in (*wanted, "utf_8", default):
        try:
            text = data.decode(codec)
        except (UnicodeDecodeError, LookupError):
            continue
        return Decoded(text, codec, mismatch=bool(wanted) and codec not in wanted)
    return Decoded(data.decode("latin_1"), "latin_1", mismatch=True)


def wide(data: bytes) -> str:
    """Return the codec of UTF-16 or UTF-32 where the bytes begin with a mark of it, else ""."""
    return next((codec for mark, codec in MARKS.items() if data.startswith(mark)), "")
