"""What import-linter cannot say: of kernels, of every system that there will be, and of circles."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = {"__future__", "math", "numba", "numpy"}
NO_KERNELS = {"__init__.py", "compiling.py"}
"""The door, which drops stale kernels, and how kernels are compiled."""
KERNELS = sorted(
    path.relative_to(ROOT)
    for path in (ROOT / "operators").rglob("*.py")
    if path.parent.name == "kernels" and path.name not in NO_KERNELS
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


LAYERS = ("state", "operators", "connectors", "flows", "replay", "benchmarks")
SYSTEMS = sorted(path.parent.name for path in (ROOT / "flows").glob("*/system.py"))


def general(*layers: str) -> Iterator[Path]:
    """Yield the files of layers that are in no folder of a system."""
    for layer in layers:
        for path in sorted((ROOT / layer).rglob("*.py")):
            if not set(path.relative_to(ROOT).parts) & set(SYSTEMS):
                yield path


def test_there_are_systems() -> None:
    assert "market" in SYSTEMS


def test_no_general_file_imports_a_system() -> None:
    found = {
        str(path.relative_to(ROOT)): name
        for path in general(*LAYERS[:-1])
        for name in imported(path)
        if set(name.split(".")) & set(SYSTEMS)
    }
    assert found == {}


def test_no_file_of_flows_names_a_system_outside_its_folder() -> None:
    names = re.compile(rf"\b({'|'.join(SYSTEMS)})\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in general("flows")
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if names.search(line)
    ]
    assert found == []


def test_no_import_goes_in_a_circle() -> None:
    # An import for the sake of a type alone is none when the program runs.
    graph = grimp.build_graph(*LAYERS, cache_dir=None, exclude_type_checking_imports=True)
    left = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    # A module that imports nothing of what is left, or that nothing left imports, is in no circle.
    while free := {
        module
        for module, imports in left.items()
        if not imports & left.keys() or not any(module in others for others in left.values())
    }:
        left = {module: imports for module, imports in left.items() if module not in free}
    assert sorted(left) == []
