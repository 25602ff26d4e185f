"""The keys of secret outputs."""

from __future__ import annotations

from pydantic import SecretStr, field_validator

from flows.settings.part import Part
from state.errors import SettingsError
from state.sealing import Keyring


class Sealing(Part):
    """What seals secret outputs, and unseals them for those who may read them."""

    keys: SecretStr = SecretStr("")
    """The text of a key file (``headrace keys new``)."""

    def keyring(self) -> Keyring | None:
        """Return the keyring; None where there is none."""
        text = self.keys.get_secret_value()
        return Keyring.parse(text) if text else None

    @field_validator("keys")
    @classmethod
    def _parses(cls, keys: SecretStr) -> SecretStr:
        text = keys.get_secret_value()
        try:
            if text:
                Keyring.parse(text)
        except SettingsError as error:
            raise ValueError(str(error)) from None
        return keys
