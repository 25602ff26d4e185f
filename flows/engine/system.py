"""The vocabulary of the registry: a system, and one flow of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bytewax.dataflow import Dataflow

from flows.settings.part import Part, Timed
from operators.logic import Logic
from state.inputs import Input
from state.outputs import Output

if TYPE_CHECKING:
    from flows.engine.context import Context
    from flows.settings.settings import Settings


@dataclass(frozen=True)
class System:
    """What ``flows/<name>/system.py`` declares as ``SYSTEM``; importing it loads no operator.

    ``settings``: the tables of the settings file that are the system's own. ``flows``: the name of
    each flow -> the module with its ``build``. ``outputs``: those of all its flows, each under its
    flow's name.
    """

    name: str
    settings: Mapping[str, type[Part]]
    flows: Mapping[str, str]
    outputs: tuple[Output, ...]


Logics = Mapping[str, Callable[[], "Logic"]]
"""The name of a step -> how its logic is made, without state."""


@dataclass(frozen=True)
class Flow:
    """One flow, of a system or of the user's own file."""

    name: str
    build: Callable[[Context], Dataflow]
    outputs: Sequence[Output]
    """The outputs whose topics are created where they are missing."""
    inputs: Callable[[Settings], Sequence[Input]]
    """Every topic that it reads under these settings."""
    warm_up: Callable[[], None] = lambda: None
    """Compiles or loads what would otherwise be compiled while records wait."""
    table: Callable[[Settings], Timed] = field(default=lambda settings: Timed())
    """The settings on which its outputs and state depend."""
    sharded: bool = True
    """Whether its state also depends on the number of shards."""
    logics: Callable[[Settings], Logics] = field(default=lambda settings: {})
    """Its stateful steps; none where it keeps nothing but offsets."""
