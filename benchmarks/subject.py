"""A system under the crash campaign: what it reads and writes, and who feeds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from benchmarks.feed import Gate
from benchmarks.rig import Rig
from state.outputs import Output

if TYPE_CHECKING:
    from benchmarks.held import Arrival


class Source(Protocol):
    """Brings messages to the system beside what is being tested, as far as its gate allows."""

    gate: Gate
    count: int
    """How many messages there are."""

    def settled(self) -> bool:
        """Say whether all that the gate lets pass is on its way."""

    def check(self) -> None:
        """Raise what stopped it."""

    def finish(self) -> None:
        """Let everything pass; return when all of it is acknowledged."""

    def stop(self) -> None:
        """Bring nothing more."""


@dataclass(frozen=True)
class Subject:
    """One system, as the campaign runs and judges it."""

    system: str
    flows: tuple[str, ...]
    """What `headrace run` runs, the system among them."""
    inputs: tuple[str, ...]
    """The topics that it reads."""
    outputs: tuple[Output, ...]
    """What is compared in Redis and in topics."""
    settings: Mapping[str, str]
    make_topics: Callable[[Rig], None]
    source: Callable[[Rig, Sequence[Path]], Source]
    """Starts to bring recordings; nothing passes before the gate allows it."""
    arrival: Callable[[Rig, Sequence[Path]], Arrival]
    """Returns how recordings came to lie in the topics of a run."""
    backlog: int = 500
    """How many messages come while a flow is down ..."""
    ahead: int = 500
    """... and behind the point at which something happens to it: it has to be at work then. All
    points of a run together must leave some of the input for the last one."""
    listener: str = ""
    """What `headrace ingest` runs; "" where messages are published."""
    asked: str = ""
    """The topic of what it asks of the flow ``models``; "" where it asks nothing."""
    answered: str = ""
    """The topic of the answers."""
