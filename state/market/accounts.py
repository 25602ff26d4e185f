"""The name of an account, as every layer spells it."""

from __future__ import annotations

import unicodedata

from state.errors import OutOfRange

ALL = "*"
"""Stands for every account."""
MAX_ACCOUNT = 64
"""The most characters of an account's name."""


def account_name(text: str) -> str:
    r"""Return the one spelling of an account's name: what looks the same is the same account.

    It is in the normal form C of Unicode (Standard Annex 15), without spaces around it. Raises
    OutOfRange for none at all, a longer one, ALL, a character that cannot be seen, and for `|`,
    which joins keys.

    >>> account_name(" Zoe\u0308 ") == account_name("Zoë") == "Zoë"
    True
    """
    name = unicodedata.normalize("NFC", text).strip()
    if not 0 < len(name) <= MAX_ACCOUNT:
        raise OutOfRange(f"'account' must have 1 to {MAX_ACCOUNT} characters")
    if name == ALL or "|" in name or not name.isprintable():
        raise OutOfRange(f"{name!r} is not an account")
    return name
