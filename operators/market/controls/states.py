"""The trading state of an account, or of all: a table per cause, and the worst of them counts.

ACTIVE takes orders, REDUCING only those that bring a position nearer to nothing, HALTED cancels
alone. What may hold an account back is told apart by its cause, so that a resumed kill switch does
not lift a breaker's hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any


class State(IntEnum):
    """From free to held: the larger is the worse."""

    ACTIVE = 0
    REDUCING = 1
    HALTED = 2


class Cause(Enum):
    """What can hold an account back; the values are in the records."""

    KILL = "kill"
    MANUAL = "manual"
    DRAWDOWN = "drawdown"
    VAR = "var"


class Event(Enum):
    """What moves a cause; the values are in the records."""

    ACTIVATE = "activate"
    REDUCE = "reduce"
    HALT = "halt"
    KILL = "kill"
    RESUME = "resume"
    RESET = "reset"


SET_BY_HAND = {
    Event.ACTIVATE: State.ACTIVE,
    Event.REDUCE: State.REDUCING,
    Event.HALT: State.HALTED,
}
BREAKER = {
    State.ACTIVE: {Event.REDUCE: State.REDUCING, Event.HALT: State.HALTED},
    State.REDUCING: {Event.RESET: State.ACTIVE},
    State.HALTED: {Event.RESET: State.ACTIVE},
}
TRANSITIONS: dict[Cause, dict[State, dict[Event, State]]] = {
    Cause.KILL: {
        State.ACTIVE: {Event.KILL: State.HALTED},
        State.HALTED: {Event.RESUME: State.ACTIVE},
    },
    Cause.MANUAL: dict.fromkeys(State, SET_BY_HAND),
    Cause.DRAWDOWN: BREAKER,
    Cause.VAR: BREAKER,
}
"""What is not in the table changes nothing."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The state that one cause asks for, why, and the place of the record that made it so."""

    state: State
    cause: Cause | None
    reason: str
    source: str | None


FREE = Hold(State.ACTIVE, None, "", None)


class Standing:
    """The state of one account by its causes."""

    def __init__(self) -> None:
        self._holds: dict[Cause, Hold] = {}

    def of(self, cause: Cause) -> State:
        """Return the state that a cause asks for."""
        return self._holds.get(cause, FREE).state

    @property
    def worst(self) -> Hold:
        """Return the worst hold, the first of its cause's order among equals; FREE if none."""
        return max((self._holds[c] for c in Cause if c in self._holds), key=_state, default=FREE)

    def move(self, cause: Cause, event: Event, reason: str, source: str) -> bool:
        """Follow the table; return whether it knows this event in this state."""
        after = TRANSITIONS[cause].get(self.of(cause), {}).get(event)
        if after is None:
            return False
        self._holds.pop(cause, None)
        if after != State.ACTIVE:
            self._holds[cause] = Hold(after, cause, reason, source)
        return True

    def snapshot(self) -> list[Any]:
        """Return the holds as plain values."""
        return [(c.value, int(h.state), h.reason, h.source) for c, h in self._holds.items()]

    def restore(self, parts: list[Any]) -> None:
        """Take over a snapshot's holds."""
        self._holds = {
            Cause(cause): Hold(State(state), Cause(cause), reason, source)
            for cause, state, reason, source in parts
        }


def _state(hold: Hold) -> State:
    return hold.state


def effective(own: Standing, everyone: Standing) -> Hold:
    """Return the worse hold of an account's own and everyone's; its own among equals."""
    return max(own.worst, everyone.worst, key=_state)
