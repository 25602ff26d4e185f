"""Mutants: programs in which one rule is wrong, and which of them tests do not tell from the right.

Each runs in a process of its own, forked from one that has what takes long to import.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from io import StringIO
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple

import hypothesis
import pytest

ROOT = Path(__file__).parents[3]
OPTIONS = (
    "-x", "-q", "--noconftest", "-p", "no:cacheprovider", "-p", "no:randomly", "--timeout=300",
)  # fmt: skip
"""A test that hangs catches its mutant, too."""


class Mutant(NamedTuple):
    """In the source of a module, ``right`` becomes ``wrong``."""

    module: str
    right: str
    wrong: str


def survivors(mutants: Mapping[str, Mutant], tests: Sequence[str]) -> list[str]:
    """Return the names of the mutants with which the tests pass.

    ``tests`` are paths or ids, as pytest takes them. Raises CalledProcessError where a mutant is
    none, for its rule is written in another way by now, or it cannot be imported.
    """
    job = json.dumps({"mutants": mutants, "tests": tests})
    command = [sys.executable, "-P", "-m", __name__]
    done = subprocess.run(command, input=job, stdout=subprocess.PIPE, text=True, check=True,
                          cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})  # fmt: skip
    found: list[str] = json.loads(done.stdout)
    return found


class _Finder(MetaPathFinder):
    """Finds the module of a mutant in place of the right one."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how the mutant's module is loaded, and None for others."""
        if fullname != self._mutant.module:
            return None
        right = PathFinder.find_spec(fullname, path)
        assert right is not None
        assert right.origin is not None
        loader = _Loader(fullname, right.origin)
        loader.mutant = self._mutant
        return spec_from_file_location(fullname, right.origin, loader=loader)


class _Loader(SourceFileLoader):
    """Loads the changed source; what Python has compiled before is the right one's."""

    mutant: Mutant

    def get_code(self, fullname: str) -> CodeType:
        """Return the changed module."""
        source = self.get_source(fullname)
        assert source is not None
        assert self.mutant.right in source, "the rule is written in another way by now"
        changed = source.replace(self.mutant.right, self.mutant.wrong)
        return compile(changed, self.path, "exec")


def _main() -> None:
    job = json.load(sys.stdin)
    mutants = {name: Mutant(*told) for name, told in job["mutants"].items()}
    print(json.dumps([name for name, each in mutants.items() if _passes(name, each, job["tests"])]))


def _passes(name: str, mutant: Mutant, tests: Sequence[str]) -> bool:
    if (child := os.fork()) == 0:
        os._exit(_tested(name, mutant, tests))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED), f"{name}: code {code}"
    return code == pytest.ExitCode.OK


def _tested(name: str, mutant: Mutant, tests: Sequence[str]) -> int:
    """Return pytest's exit code; what it says is shown where it could not test."""
    sys.meta_path.insert(0, _Finder(mutant))
    hypothesis.settings.register_profile("mutants", derandomize=True, database=None, deadline=None)
    hypothesis.settings.load_profile("mutants")
    said = StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = pytest.main([*OPTIONS, *tests])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        print(name, said.getvalue(), file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    _main()
