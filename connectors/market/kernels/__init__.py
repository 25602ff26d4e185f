"""Compiled decoding of ticks: JSON text, packed frames, and codes for their strings.

A kernel is given arrays and fills arrays. It knows no error, no object and no message: what it is
not sure of, it leaves to the Python definition (`connectors.market.ticks`). Each file scans one
kind of token; what callers need to know without a compiler is in `connectors.market.layout`.

Lessons from profiling: bytes are read eight at a time (SWAR: one 64-bit word holds
eight characters, and a few integer operations compare all of them at once; little-endian
is assumed). Read one by one they cost 1 ns each, more than all other work together.
Arrays come in plain tuples: a NamedTuple has no fast way through numba's dispatcher.
"""

from __future__ import annotations

from pathlib import Path

from connectors import json
from connectors.market import bounds, layout
from state import clock
from state.kernels import drop_stale_kernels
from state.market import ticks

drop_stale_kernels(Path(__file__).parent, bounds, clock, json, layout, ticks)
"""Before any is loaded: numba would not see that a constant, or a kernel called, has changed."""
