"""The keys of sealed recordings: where commands find them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from flows.config import load_settings
from flows.keys import make_key_file
from replay.sealed import PLAINTEXT, Protection
from state.errors import Misuse
from state.sealed_values import is_secret
from state.sealing import Seal


def seal_in_force(config: Path | None = None) -> Seal | None:
    """Return the seal of the settings' keyring; None where there is none. Raises SettingsError."""
    keyring = load_settings(config).sealing.keyring()
    return None if keyring is None else Seal(keyring)


def protection(
    topics: Iterable[str], *, plaintext: bool, config: Path | None = None, makes_key: bool = False
) -> Protection:
    """Return what protects a recording of these topics: a seal, unless ``plaintext`` is wanted.

    With ``makes_key``, the first use makes the key file and says so in one line on stderr; else
    raises Misuse where there are no keys.
    """
    secret = [topic for topic in topics if is_secret(topic)]
    if not secret:
        return None
    if plaintext:
        return PLAINTEXT
    seal = seal_in_force(config)
    if seal is None and makes_key:
        if path := make_key_file():
            print(f"{path} is made: it seals recordings from now on, keep a copy", file=sys.stderr)
        seal = seal_in_force(config)
    if seal is None:
        raise Misuse(
            f"recordings of {secret[0]} are sealed and there is no key: make one with "
            "`headrace keys init`, or give --plaintext"
        )
    return seal
