"""Where output records go."""

from __future__ import annotations

from typing import Any, Protocol


class Outbox(Protocol):
    """Where an operator puts its output records, row by row in order."""

    def emit(
        self,
        output: str,
        partition: int,
        time_ns: int,
        identity: str,
        key: str,
        record: dict[str, Any],
    ) -> None:
        """Add one record of ``output`` that input ``partition`` caused.

        ``record`` holds plain values without NaN; ``identity`` is also its ``id`` field;
        ``key`` is '' where the output is not keyed. An operator emits in the order of
        the rows, and only one operator of a flow emits an output.
        """
