"""The registry: systems are found by their path, and flows by their name or file.

A system is a folder ``flows/<system>/`` with a ``system.py``; nothing else has to be told of it.
"""

from __future__ import annotations

import importlib
import re
from functools import cache
from pathlib import Path

from flows.engine.declaration import System
from state.errors import Misuse
from state.outputs import Output

GENERAL = {"history": "flows.history"}
"""Flows of no system: they serve all of them."""


@cache
def systems() -> tuple[System, ...]:
    """Return every system, by name."""
    folder = Path(__file__).parents[1]
    names = sorted(path.parent.name for path in folder.glob("*/system.py"))
    found = (importlib.import_module(f"flows.{name}.system") for name in names)
    return tuple(module.SYSTEM for module in found)


def flow_modules() -> dict[str, str]:
    """Return the name of each flow that ``headrace run`` knows -> its module."""
    return {name: path for each in systems() for name, path in each.flows.items()} | GENERAL


def declared_outputs() -> tuple[Output, ...]:
    """Return the outputs of every system."""
    return tuple(output for system in systems() for output in system.outputs)


def outputs_of(flow: str) -> tuple[Output, ...]:
    """Return the declared outputs of a flow; none for one that only reads, or the user's own."""
    return tuple(output for output in declared_outputs() if output.system == flow)


def flows_with_outputs() -> list[str]:
    """Return the names of the flows that have outputs."""
    return list(dict.fromkeys(output.system for output in declared_outputs()))


def known_flow(name: str) -> str:
    """Return ``name``, or raise Misuse where there is no such flow."""
    modules = flow_modules()
    if name not in modules:
        raise Misuse(f"there is no system {name!r}: choose {', '.join(modules)}")
    return name


def flow_name(flow: str) -> str:
    """Return the name under which a flow of ours or of a file runs.

    It begins the names of topics, Redis keys and directories. Raises Misuse where
    ``flow`` is neither, or the file's name cannot be used.
    """
    if not flow.endswith(".py"):
        return known_flow(flow)
    path = Path(flow)
    if not path.is_file():
        raise Misuse(f"there is no flow file {flow}")
    name = path.stem
    if name in flow_modules() or not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
        raise Misuse(
            f"{flow}: name the file with small letters, digits, _ and -, and not like a system: "
            "its name begins the names of topics and keys"
        )
    return name


def output_topic(system: str, output: str) -> str:
    """Return the Kafka topic of an output of a flow, or of its dead letters."""
    return f"{system}.{output}"
