"""Writes and reads the stored snapshots of a release (test_released.py)."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

from operators.outputs import Outputs
from state.snapshots import pack, unpack
from tests.contracts.cases import CASES, Case
from tests.contracts.logics import State, state_of

FOLDER = Path(__file__).parent / "released"
HASH = "released"


def halves(case: Case) -> tuple[list[Any], list[Any]]:
    """Return the items before and after the snapshot."""
    items = case.items()
    return items[: len(items) // 2], items[len(items) // 2 :]


def write(version: str) -> None:
    """Write the snapshots of this program as those of a version."""
    folder = FOLDER / version
    folder.mkdir(parents=True)
    for name, case in CASES.items():
        logic, outputs = case.make(), Outputs(case.outputs)
        for item in halves(case)[0]:
            list(logic.process(item, outputs))
            outputs.take()
        parts, pages = state_of(logic)
        content = {"logic": parts, "counters": dict(outputs.counters), "pages": pages}
        data = pickle.dumps(pack(HASH, content), protocol=5)
        (folder / f"{name}.snapshot").write_bytes(data)


def read(path: Path) -> tuple[State, dict[str, int]]:
    """Return a stored state, and the counters of its outputs."""
    parts = unpack(pickle.loads(path.read_bytes()), HASH)
    return (parts["logic"], parts["pages"]), parts["counters"]


if __name__ == "__main__":
    write(sys.argv[1])
