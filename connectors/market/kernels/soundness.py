"""Whether a tick's values are certainly good."""

# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
# A kernel's types are in its signature, where numba holds it to them.

from __future__ import annotations

from connectors.market.bounds import LEAST_PRICE, LEAST_SIZE, MOST_PRICE, MOST_SIZE
from connectors.market.kernels.compiling import inner
from state.clock import MAX_TIME_NS
from state.market.ticks import NO_SEQ, TRADE


@inner
def _side_is_sound(price, size):
    return (price == 0.0 and size == 0.0) or (
        LEAST_PRICE <= price <= MOST_PRICE and (size == 0.0 or LEAST_SIZE <= size <= MOST_SIZE)
    )


@inner
def is_sound(kind, ts, recv, seq, price, size, ask, ask_size, latest):
    """Return whether a tick is certainly good (see ``connectors.market.ticks.tick_of``)."""
    if ts <= 0 or ts > MAX_TIME_NS or ts > latest or recv < 0 or recv > MAX_TIME_NS or seq < NO_SEQ:
        return False
    if kind == TRADE:
        return LEAST_PRICE <= price <= MOST_PRICE and LEAST_SIZE <= size <= MOST_SIZE
    return _side_is_sound(price, size) and _side_is_sound(ask, ask_size) and price + ask > 0.0
