"""What import-linter cannot say: a kernel imports numpy, numba, math and other kernels."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = {"__future__", "math", "numba", "numpy"}
KERNELS = sorted(
    path.relative_to(ROOT)
    for path in (ROOT / "operators").rglob("*.py")
    if path.parent.name == "kernels" and path.name != "__init__.py"  # the door drops stale ones
)


def imported(path: Path) -> set[str]:
    """Return the names of the modules that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def test_there_are_kernels() -> None:
    assert KERNELS


@pytest.mark.parametrize("path", KERNELS, ids=str)
def test_a_kernel_imports_arithmetic_only(path: Path) -> None:
    others = {name for name in imported(ROOT / path) if name.partition(".")[0] not in ALLOWED}
    assert {name for name in others if "kernels" not in name.split(".")} == set()
