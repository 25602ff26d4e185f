"""Tools for one system or one kind of file, which are found by their path.

``replay/<system>/simulate.py`` is ``headrace simulate <system>``, ``replay/<system>/report.py`` is
``headrace report <system>``, and ``import_<kind>.py``, there or in ``replay``, is
``headrace import <kind>``. All of them are imported for any of them, so a tool imports what is
large when it runs, not before.
"""

from __future__ import annotations

import replay
from flows.tools import Tool, add_tools, kinds, modules, run

__all__ = ["Tool", "add_tools", "importers", "run", "tools_of_systems"]


def tools_of_systems(name: str) -> dict[str, str]:
    """Return the systems that have the tool ``name`` -> its module."""
    return {module.split(".")[-2]: module for module in modules(replay, f"*/{name}.py")}


def importers() -> dict[str, str]:
    """Return the kinds of files that can be imported -> the module for each."""
    return kinds(replay, "import_")
