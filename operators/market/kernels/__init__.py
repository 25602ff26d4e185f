"""Compiled kernels of the market's operators: arrays and scalars in, arrays out.

A kernel imports numpy, numba, math and other kernels of this folder. It knows no block, no record
and no settings, allocates nothing that grows, and is called with checked values.
"""

from __future__ import annotations

from pathlib import Path

from state.kernels import drop_stale_kernels

drop_stale_kernels(Path(__file__).parent)
"""Before any is loaded: a compiled kernel does not outlive the source of one that it calls."""
