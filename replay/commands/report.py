"""``headrace report``: an HTML page with pictures of what a replay or an export holds."""

from __future__ import annotations

import argparse

from replay.tools import add_tools, run, tools_of_systems

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare SYSTEM and what its report asks for."""
    add_tools(parser, "SYSTEM", tools_of_systems("report"))
