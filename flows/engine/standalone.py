"""A flow for ``python -m bytewax.run``, which then is all that watches over it."""

from __future__ import annotations

from contextlib import ExitStack

from bytewax.dataflow import Dataflow

from flows.config import load_settings
from flows.engine.flows import find_flow
from flows.engine.generation import find_generation
from flows.engine.live import connect
from flows.engine.preparing import check_start, prepare
from state.lifecycle import Lifecycle

_until_exit = ExitStack()
"""What `standalone` holds: it returns before the flow runs."""


def standalone(flow: str) -> Dataflow:
    """Return a flow, prepared and with its generation's lock held until the process ends.

    It goes on with the newest generation under run.state_dir, as ``headrace run`` does;
    Bytewax's own ``-r`` says where its snapshots are.
    """
    settings = load_settings()
    found = find_flow(flow)
    root = settings.run.state_dir.resolve() / found.name
    generation = find_generation(root, None, settings.run.generation)
    _until_exit.enter_context(generation.locked())
    prepare(found, generation, "", settings)
    start = generation.load()
    assert start is not None, "prepare stores it"
    check_start(start, found, settings)
    found.warm_up()
    return found.build(connect(found, start, settings, Lifecycle()))
