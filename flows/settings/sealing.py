"""The keys of secret outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr, field_validator

from flows.settings.part import Part
from state.errors import SettingsError

if TYPE_CHECKING:
    from state.sealing import Keyring


class Sealing(Part):
    """What seals secret outputs, and unseals them for those who may read them."""

    keys: SecretStr = SecretStr("")
    """The text of a key file (``headrace keys new``)."""

    def keyring(self) -> Keyring | None:
        """Return the keyring; None where there is none."""
        return _keyring(self.keys.get_secret_value())

    @field_validator("keys")
    @classmethod
    def _parses(cls, keys: SecretStr) -> SecretStr:
        try:
            _keyring(keys.get_secret_value())
        except SettingsError as error:
            raise ValueError(str(error)) from None
        return keys


def _keyring(text: str) -> Keyring | None:
    if not text:
        return None
    # Only where there are keys: sealing loads numpy, which most commands do without.
    from state.sealing import Keyring  # noqa: PLC0415

    return Keyring.parse(text)
