"""What REST serves of one system alone, found by its path: ``rest/<system>/room.py``."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from connectors.kafka.client import Cluster
from connectors.web.rest.operation import Operation


@dataclass(frozen=True)
class Given:
    """What a room may use beside the `Parts` of each call.

    ``max_ahead_ns``: table of the settings, such as ``market`` -> by how much an event's time may
    be ahead of now, as in the flow that reads it.
    """

    cluster: Cluster
    max_ahead_ns: Mapping[str, int]


class Room(Protocol):
    """The operations of one system; ``room.py`` has ``make(given) -> Room``."""

    @property
    def operations(self) -> Sequence[Operation]:
        """Return what is served; none has a path of another room."""

    def close(self) -> None:
        """Close what was opened."""


def rooms(given: Given) -> tuple[Room, ...]:
    """Return the rooms of all systems that have one; no server is asked anything yet."""
    names = sorted(path.parent.name for path in Path(__file__).parent.glob("*/room.py"))
    modules = (importlib.import_module(f"{__package__}.{name}.room") for name in names)
    return tuple(module.make(given) for module in modules)
