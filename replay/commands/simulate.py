"""``headrace simulate``: write a recording of made-up events of a system."""

from __future__ import annotations

import argparse

from replay.tools import add_tools, run, tools_of_systems

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare SYSTEM and what its simulator asks for."""
    add_tools(parser, "SYSTEM", tools_of_systems("simulate"))
