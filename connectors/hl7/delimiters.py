"""The delimiters of a message, which its first segment declares by their place."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from state.errors import Malformed

NONE = "\0"
"""A delimiter that was not declared. No message holds the character, for it is dropped before."""


class Delimiters(NamedTuple):
    """One character each. Source: HL7 v2.9, 2.5.4 (message delimiters)."""

    field: str
    component: str
    repetition: str
    escape: str
    subcomponent: str


LONGEST = 8
"""More characters of MSH-2 are nobody's delimiters, and need not be kept."""


def declared(field: bytes, encoding: bytes) -> Delimiters:
    r"""Return what MSH-1 and MSH-2 declare. Raises Malformed, which repeats nothing of them.

    A character that comes again is a mistake of the sender's, and counts once: ``^~\\&`` has a
    backslash too many. Three characters with ``&`` at the end lack the backslash. A fifth one is
    the truncation mark, which separates nothing.
    """
    return _declared(field, encoding[:LONGEST])  # bytes are what a message has: it is asked of each


@lru_cache(maxsize=1024)
def _declared(separator: bytes, encoding: bytes) -> Delimiters:
    field = separator.decode("latin_1")
    characters = "".join(dict.fromkeys(encoding.decode("latin_1")))
    if not characters:
        raise Malformed("MSH-2 is empty, so no delimiter of components is known")
    if not all("!" <= each <= "~" and not each.isalnum() for each in (field, *characters[:4])):
        raise Malformed("MSH-1 or MSH-2 has a delimiter that is no mark of ASCII")
    if len(characters) == 3 and characters[2] == "&":
        return Delimiters(field, characters[0], characters[1], NONE, "&")
    return Delimiters(field, *characters[:4].ljust(4, NONE))
