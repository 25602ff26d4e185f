"""The seal of a flow with secret outputs, by the settings."""

from __future__ import annotations

from flows.engine.context import Flow
from flows.settings.settings import Settings
from state.errors import SettingsError
from state.sealing import Seal


def seal_of(flow: Flow, settings: Settings) -> Seal | None:
    """Return what seals the secret outputs and the snapshots of a flow; None where it has none.

    Raises SettingsError where it has one and there is no key.
    """
    if not any(output.secret for output in flow.outputs):
        return None
    keyring = settings.sealing.keyring()
    if keyring is None:
        raise SettingsError(
            f"{flow.name} has secret outputs and there is no key: make one with "
            "`headrace keys init`, or `headrace keys new FILE` and HEADRACE_SEALING__KEYS_FILE"
        )
    return Seal(keyring)
