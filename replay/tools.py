"""Tools for one system or one kind of file, which are found by their path.

``replay/<system>/simulate.py`` is ``headrace simulate <system>``, ``replay/<system>/report.py`` is
``headrace report <system>``, and ``import_<kind>.py``, there or in ``replay``, is
``headrace import <kind>``. All of them are imported for any of them, so a tool imports what is
large when it runs, not before.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol, cast

import replay

_COMMANDS = "commands"
"""The general commands, whose files have the tools' names."""
_IMPORT = "import_"


class Tool(Protocol):
    """What the module of a tool offers, as that of a command does; its docstring is its help."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the tool's arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do the work; return the exit code."""


def tools_of_systems(name: str) -> dict[str, str]:
    """Return the systems that have the tool ``name`` -> its module."""
    return {module.split(".")[-2]: module for module in _modules(f"*/{name}.py")}


def importers() -> dict[str, str]:
    """Return the kinds of files that can be imported -> the module for each."""
    found = [*_modules(f"{_IMPORT}*.py"), *_modules(f"*/{_IMPORT}*.py")]
    kinds = {module: module.split(".")[-1].removeprefix(_IMPORT) for module in found}
    return {kind.replace("_", "-"): module for module, kind in sorted(kinds.items())}


def add_tools(parser: argparse.ArgumentParser, metavar: str, tools: Mapping[str, str]) -> None:
    """Declare one of ``tools`` by its name, then its own arguments; `run` runs it."""
    choices = parser.add_subparsers(dest="tool", metavar=metavar, required=True)
    for name, module in tools.items():
        tool = cast(Tool, importlib.import_module(module))
        text = (tool.__doc__ or "").strip()
        summary = text.partition("\n")[0].rstrip(".")
        chosen = choices.add_parser(name, help=summary, description=text)
        tool.add_arguments(chosen)
        chosen.set_defaults(run_tool=tool.run)


def run(args: argparse.Namespace) -> int:
    """Run the tool that was named; return its exit code."""
    code: int = args.run_tool(args)
    return code


def _modules(pattern: str) -> Iterator[str]:
    """Yield the modules of the files in ``replay`` that match, but for the general commands."""
    for root in map(Path, replay.__path__):
        for path in sorted(root.glob(pattern)):
            parts = path.relative_to(root).with_suffix("").parts
            if parts[0] != _COMMANDS:
                yield ".".join((replay.__name__, *parts))
