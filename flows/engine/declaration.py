"""What a system declares of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flows.settings.part import Part
from state.outputs import Output


@dataclass(frozen=True)
class System:
    """What ``flows/<name>/system.py`` declares as ``SYSTEM``; importing it loads no operator.

    ``settings``: the tables of the settings file that are the system's own. ``flows``: the name of
    each flow -> the module with its ``build``. ``outputs``: those of all its flows, each under its
    flow's name. ``history``: the module that adds to the history flow, by ``add(context,
    blocks)``; "" for none. ``bulk``: the module of what the gateway exports in bulk, which has
    ``TYPES`` and ``export(work, tell)`` (`connectors.web.bulk`); "" for none.
    """

    name: str
    settings: Mapping[str, type[Part]]
    flows: Mapping[str, str]
    outputs: tuple[Output, ...]
    first: bool = False
    """Whether it is the one that is shown to who names none."""
    history: str = ""
    bulk: str = ""
