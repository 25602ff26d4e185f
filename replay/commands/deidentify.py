"""``headrace deidentify``: write a system's tables without what tells whose they are."""

from __future__ import annotations

import argparse

from replay.tools import add_tools, run, tools_of_systems

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare SYSTEM and what its tool asks for."""
    add_tools(parser, "SYSTEM", tools_of_systems("deidentify"))
