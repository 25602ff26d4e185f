"""The compiled kernels of all layers, found by their path."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def is_warm() -> bool:
    """Say whether kernels were compiled here before."""
    return "NUMBA_CACHE_DIR" in os.environ or any(ROOT.glob("*/*/kernels/__pycache__/*.nbi"))


def kernels() -> Iterator[str]:
    """Yield the modules of kernels: those that need no other first, the largest first of each.

    So two processes seldom compile the same, and end at about the same time.
    """
    paths = [path for path in ROOT.glob("*/*/kernels/*.py") if path.stem != "__init__"]
    for path in sorted(paths, key=_order):
        yield ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _order(path: Path) -> tuple[bool, int]:
    text = path.read_text()
    return ".kernels" in text, -len(text)
