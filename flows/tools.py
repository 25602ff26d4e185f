"""Tools of a command, which are found by their path: a file for each."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Protocol, cast

_COMMANDS = "commands"
"""The general commands, whose files have the tools' names."""


class Tool(Protocol):
    """What the module of a tool offers, as that of a command does; its docstring is its help."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the tool's arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do the work; return the exit code."""


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


def kinds(package: ModuleType, stem: str) -> dict[str, str]:
    """Return what follows ``stem`` in the names of a package's files -> the module of each.

    They are in the package itself or in the folder of a system.
    """
    found = [*modules(package, f"{stem}*.py"), *modules(package, f"*/{stem}*.py")]
    named = {module: module.split(".")[-1].removeprefix(stem) for module in found}
    return {kind.replace("_", "-"): module for module, kind in sorted(named.items())}


def modules(package: ModuleType, pattern: str) -> Iterator[str]:
    """Yield the modules of the files in a package that match, but for the general commands."""
    for root in map(Path, package.__path__):
        for path in sorted(root.glob(pattern)):
            parts = path.relative_to(root).with_suffix("").parts
            if parts[0] != _COMMANDS:
                yield ".".join((package.__name__, *parts))
