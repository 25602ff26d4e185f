"""``headrace import``: turn real-world files into a recording."""

from __future__ import annotations

import argparse

from replay.tools import add_tools, importers, run

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare KIND and what the importer of such files asks for."""
    add_tools(parser, "KIND", importers())
