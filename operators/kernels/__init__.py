"""Compiled kernels of operators that any system may use; they know arrays and scalars alone."""

from __future__ import annotations

from pathlib import Path

from state.kernels import drop_stale_kernels

drop_stale_kernels(Path(__file__).parent)
"""Before any is loaded: a compiled kernel does not outlive the source of one that it calls."""
