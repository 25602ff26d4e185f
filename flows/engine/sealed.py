"""The seal of a flow with secret outputs, by the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.engine.system import Flow
from flows.settings.settings import Settings
from state.errors import SettingsError

if TYPE_CHECKING:
    from state.sealing import Seal


def seal_of(flow: Flow, settings: Settings) -> Seal | None:
    """Return what seals the secret outputs and the snapshots of a flow; None where it has none.

    Raises SettingsError where it has one and there is no key.
    """
    if not any(output.secret for output in flow.outputs):
        return None
    keys = settings.sealing.keys.get_secret_value()
    if not keys:
        raise SettingsError(
            f"{flow.name} has secret outputs and there is no key: make one with "
            "`headrace keys new FILE` and set HEADRACE_SEALING__KEYS_FILE"
        )
    # Imported here: most processes seal nothing.
    from state.sealing import Keyring, Seal  # noqa: PLC0415

    return Seal(Keyring.parse(keys))
