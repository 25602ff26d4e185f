"""No process loads a large package that it does not use: what each loads, and how much it holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from flows.__main__ import COMMANDS
from flows.engine.systems import flow_modules

ROOT = Path(__file__).resolve().parents[1]
HEAVY = (
    "arch", "cvxpy", "matplotlib", "numba", "pandas", "polars", "pyarrow", "scipy", "sklearn",
)  # fmt: skip
COMPILED = frozenset(("numba", "scipy"))  # numba itself loads scipy
ARROW = frozenset(("pyarrow",))
NOTHING: frozenset[str] = frozenset()
# arch loads statsmodels, which loads pandas, which loads what of Arrow and polars is installed.
SOLVERS = frozenset(HEAVY)


class Process(NamedTuple):
    """What a process may load, and the most MiB that it may hold in memory then."""

    loads: frozenset[str]
    most_mib: int


COMMAND = {
    "": Process(NOTHING, 25),
    "audit": Process(NOTHING, 25),
    "bench": Process(NOTHING, 25),
    "check": Process(NOTHING, 100),
    "config": Process(NOTHING, 65),
    "cut": Process(ARROW, 105),
    "dead": Process(NOTHING, 75),
    "deidentify": Process(NOTHING, 65),
    "demo": Process(NOTHING, 65),
    "diff": Process(ARROW, 105),
    "export": Process(NOTHING, 95),
    "feed": Process(NOTHING, 120),
    "heartbeat": Process(NOTHING, 75),
    "import": Process(frozenset(), 255),
    "ingest": Process(NOTHING, 85),
    "keys": Process(NOTHING, 60),
    "publish": Process(ARROW, 115),
    "record": Process(ARROW, 115),
    "replay": Process(ARROW, 115),
    "report": Process(frozenset(), 140),
    "run": Process(NOTHING, 65),
    "schemas": Process(NOTHING, 105),
    "simulate": Process(frozenset(), 245),
    "try": Process(NOTHING, 65),
    "state": Process(NOTHING, 80),
    "warm": Process(NOTHING, 65),
}
"""``headrace COMMAND --help``: what the command's module imports."""

FLOW = {
    "adt": Process(NOTHING, 105),
    "deid": Process(NOTHING, 110),
    "fhir": Process(NOTHING, 120),
    "history": Process(NOTHING, 110),
    "market": Process(COMPILED, 265),
    "models": Process(SOLVERS, 490),
    "trading": Process(NOTHING, 105),
}
"""The worker of a flow once it is built, by the default settings but for what it needs."""

REPORT = """
import sys
loaded = [name for name in {heavy!r} if name in sys.modules]
pages = int(open("/proc/self/statm").read().split()[1])
print(pages * {page} >> 20, *loaded)
"""
RUN_COMMAND = """
from contextlib import redirect_stdout, suppress
from io import StringIO
from flows.__main__ import main
with redirect_stdout(StringIO()), suppress(SystemExit):
    main({words!r})
"""
BUILD_FLOW = """
from flows.engine import worker  # the process is one of this module
from flows.engine.flows import find_flow
from flows.engine.generation import Start
from flows.engine.live import connect
from flows.settings.settings import whole
from state.lifecycle import Lifecycle
from state.sealing import Keyring

adt = {{"fhir_base": "https://h/r4", "deidentify": "pseudonymised"}}
needed = {{"sealing": {{"keys": Keyring.generate().text()}}, "adt": adt}}
flow, settings = find_flow({flow!r}), whole()(**needed)
offsets = {{each.topic: {{0: 0}} for each in flow.inputs(settings)}}
context = connect(flow, Start(flow.name, 1, "", offsets), settings, Lifecycle())
flow.warm_up()
flow.build(context)
"""


def measured(code: str) -> tuple[int, frozenset[str]]:
    """Return the MiB that a process holds after ``code``, and what it has loaded."""
    import resource

    report = REPORT.format(heavy=HEAVY, page=resource.getpagesize())
    done = subprocess.run(
        [sys.executable, "-c", code + report], cwd=ROOT, check=True, capture_output=True, text=True
    )
    mib, *loaded = done.stdout.split()
    return int(mib), frozenset(loaded)


def assert_holds(code: str, allowed: Process) -> None:
    mib, loaded = measured(code)
    assert loaded == allowed.loads
    if mib > allowed.most_mib:  # where the kernels had to be compiled, the compiler is in it
        mib, _ = measured(code)
    assert mib <= allowed.most_mib


def test_the_tables_are_whole():
    assert COMMAND.keys() == COMMANDS.keys() | {""}
    assert FLOW.keys() == flow_modules().keys()


@pytest.mark.parametrize("name", COMMAND)
def test_a_command_loads_only_what_it_uses(name):
    words = [name, "--help"] if name else ["--help"]
    assert_holds(RUN_COMMAND.format(words=words), COMMAND[name])


@pytest.mark.parametrize("name", FLOW)
def test_a_worker_loads_only_what_its_flow_uses(name):
    assert_holds(BUILD_FLOW.format(flow=name), FLOW[name])
