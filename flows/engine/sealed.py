"""The seal of a flow with secret outputs, by the settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flows.settings.settings import Settings
from state.errors import SettingsError
from state.outputs import Output
from state.sealing import Seal

if TYPE_CHECKING:
    # It loads the engine, which who only writes to a flow's topics does without.
    from flows.engine.context import Flow


def seal_of(flow: Flow, settings: Settings) -> Seal | None:
    """Return what seals the secret outputs and the snapshots of a flow; None where it has none.

    Raises SettingsError where it has one and there is no key.
    """
    if flow.secret:
        return _seal(flow.name, settings)
    return seal_for(flow.name, flow.outputs, settings)


def seal_for(name: str, outputs: Iterable[Output], settings: Settings) -> Seal | None:
    """Return the same as `seal_of` for who writes to a flow's topics without running it."""
    return _seal(name, settings) if any(output.secret for output in outputs) else None


def _seal(name: str, settings: Settings) -> Seal:
    keyring = settings.sealing.keyring()
    if keyring is None:
        raise SettingsError(
            f"{name} handles what is secret and there is no key: make one with "
            "`headrace keys init`, or `headrace keys new FILE` and HEADRACE_SEALING__KEYS_FILE"
        )
    return Seal(keyring)
