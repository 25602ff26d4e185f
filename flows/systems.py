"""The systems that ``headrace run`` knows by name, and flows of the user's own."""

from __future__ import annotations

import re
from pathlib import Path

from state.errors import Misuse

SYSTEMS = {
    "market": "flows.market",
    "models": "flows.models",
    "trading": "flows.trading",
    "history": "flows.history",
}
"""Name -> the module with ``build(context) -> Dataflow``."""


def known_system(name: str) -> str:
    """Return ``name``, or raise Misuse where there is no such system."""
    if name not in SYSTEMS:
        raise Misuse(f"there is no system {name!r}: choose {', '.join(SYSTEMS)}")
    return name


def flow_name(flow: str) -> str:
    """Return the name under which a system or a flow file runs.

    It begins the names of topics, Redis keys and directories. Raises Misuse where
    ``flow`` is neither, or the file's name cannot be used.
    """
    if not flow.endswith(".py"):
        return known_system(flow)
    path = Path(flow)
    if not path.is_file():
        raise Misuse(f"there is no flow file {flow}")
    name = path.stem
    if name in SYSTEMS or not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
        raise Misuse(
            f"{flow}: name the file with small letters, digits, _ and -, and not like a system: "
            "its name begins the names of topics and keys"
        )
    return name


def output_topic(system: str, output: str) -> str:
    """Return the Kafka topic of an output of a flow, or of its dead letters."""
    return f"{system}.{output}"
