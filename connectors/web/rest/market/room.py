"""The room of market."""

from __future__ import annotations

from connectors.web.rest.market import trading
from connectors.web.rest.market.events import Events
from connectors.web.rest.operation import Operation
from connectors.web.rest.rooms import Given, Room


class Market:
    """What REST serves of market alone."""

    def __init__(self, given: Given) -> None:
        self._events = Events(given)

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Return what is served here."""
        return (*self._events.operations, *trading.OPERATIONS)

    def close(self) -> None:
        """Close what was opened."""
        self._events.close()


def make(given: Given) -> Room:
    """Return the room; no server is asked anything yet."""
    return Market(given)
