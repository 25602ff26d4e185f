"""``headrace ingest``: listeners that answer what they have stored in Kafka.

``flows/<system>/ingest_<kind>.py`` is ``headrace ingest <kind>``.
"""

from __future__ import annotations

import argparse

import flows
from flows.tools import add_tools, kinds, run

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare KIND and the listener's own arguments."""
    add_tools(parser, "KIND", kinds(flows, "ingest_"))
