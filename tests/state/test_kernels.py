"""A compiled kernel does not outlive the source of a kernel that it calls."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from state.kernels import drop_stale_kernels

CALLED = """
from numba import njit

from constants import FACTOR

@njit("i8()", cache=True)
def called():
    return {value} * FACTOR
"""
CALLS = """
from numba import njit

from kernels.called import called

@njit("i8()", cache=True)
def calls():
    return called()
"""
RUN = """
import sys
from pathlib import Path

import constants

if sys.argv[1] == "drop":
    from state.kernels import drop_stale_kernels

    drop_stale_kernels(Path("kernels"), constants)
from kernels.calls import calls

print(calls(), sum(calls.stats.cache_hits.values()))
"""
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def write(tmp_path):
    """``write(value)`` writes a kernel that calls one that returns ``value``, times a constant."""
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels/__init__.py").touch()
    (tmp_path / "kernels/calls.py").write_text(CALLS)

    def changed(value: int, factor: int = 1) -> None:
        (tmp_path / "kernels/called.py").write_text(CALLED.format(value=value))
        (tmp_path / "constants.py").write_text(f"FACTOR = {factor}")

    return changed


@pytest.fixture
def run(tmp_path):
    """``run(how)`` returns what the kernel returns in a new process, and how much was cached."""
    path = os.pathsep.join([str(tmp_path), str(ROOT)])

    def answer(how: str) -> list[int]:
        done = subprocess.run(
            [sys.executable, "-c", RUN, how],
            cwd=tmp_path,
            # Python takes its own cache for that of a source of the same size and second.
            env=os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            check=True,
            capture_output=True,
            text=True,
        )
        return [int(word) for word in done.stdout.split()]

    return answer


def test_a_changed_kernel_is_seen_by_those_that_call_it(write, run):
    write(1)
    assert run("drop") == [1, 0]
    assert run("drop") == [1, 1]
    write(2)
    assert run("drop") == [2, 0]


def test_a_changed_constant_is_seen_by_those_that_use_it(write, run, tmp_path):
    write(1)
    kernel = (tmp_path / "kernels/called.py").stat()
    assert run("drop") == [1, 0]
    write(1, factor=2)
    # As if only the constant had been written: numba itself sees the other file.
    os.utime(tmp_path / "kernels/called.py", ns=(kernel.st_atime_ns, kernel.st_mtime_ns))
    assert run("drop") == [2, 0]


def test_numba_alone_does_not_see_it(write, run):
    """Where this fails one day, `drop_stale_kernels` can go."""
    write(1)
    assert run("keep") == [1, 0]
    write(2)
    assert run("keep") == [1, 1]


def test_an_index_that_another_process_drops_meanwhile_is_no_error(tmp_path):
    (tmp_path / "kernels.py").touch()
    cache = tmp_path / "__pycache__"
    cache.mkdir()
    (cache / "gone.nbi").symlink_to("nowhere")  # listed, and not there when it is looked at
    stale = cache / "stale.nbi"
    stale.touch()
    os.utime(stale, (0, 0))
    drop_stale_kernels(tmp_path)
    assert not stale.exists(), "the others are dropped all the same"
