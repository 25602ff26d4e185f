"""Flows by name or file: loads the module of one, and what it offers."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from flows.engine.context import Flow
from flows.engine.systems import flow_modules, flow_name, outputs_of
from state.errors import Misuse


def find_flow(flow: str) -> Flow:
    """Return a flow of ours, or that of a Python file.

    Its module has ``build(context)`` and ``inputs(settings)``, and where it likes what else a
    `Flow` has: ``warm_up``, ``table``, ``SHARDED``, ``logics`` and ``SECRET``; a file also
    ``OUTPUTS``, its Outputs. Raises Misuse where ``build`` or ``inputs`` is missing; what importing
    it raises passes through.
    """
    name, modules = flow_name(flow), flow_modules()
    module = importlib.import_module(modules[flow]) if flow in modules else _import_file(Path(flow))
    for needed in ("build(context) -> Dataflow", "inputs(settings) -> [Input(topic), ...]"):
        if not callable(getattr(module, needed.partition("(")[0], None)):
            raise Misuse(f"{flow} has no {needed}; docs/guide shows one")
    given = {
        field: getattr(module, attribute)
        for field, attribute in _OPTIONAL.items()
        if hasattr(module, attribute)
    }
    # A file may take over outputs of a system: its topics and keys have its own name all the same.
    own = getattr(module, "OUTPUTS", outputs_of(name))
    outputs = tuple(replace(output, system=name) for output in own)
    return Flow(name, module.build, outputs, module.inputs, **given)


_OPTIONAL = {
    "warm_up": "warm_up",
    "table": "table",
    "sharded": "SHARDED",
    "logics": "logics",
    "secret": "SECRET",
}


def _import_file(path: Path) -> ModuleType:
    name = f"headrace_flow_{path.stem}"  # a name of its own: the file may be called state.py
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # Last, so that a file beside the flow never hides a package of ours.
    sys.path.append(str(path.resolve().parent))
    spec.loader.exec_module(module)
    return module
