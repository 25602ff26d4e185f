"""`headrace keys rotate` in a process that kills itself (SIGKILL) at a chosen point of its work."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.flows.runs import ROOT

PART = 20
"""How much is sealed anew at once here, so that a kill comes between two parts too."""
_KILLED = f"""
import os, signal, sys
from flows.__main__ import main
from flows.engine import resealing
from state.sealing import Seal

left = int(sys.argv[1])

def counted(method):
    def called(*args, **more):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(*args, **more)
    return called

Seal.reseal, Seal.reclose = counted(Seal.reseal), counted(Seal.reclose)
resealing.ROWS = {PART}
sys.exit(main(sys.argv[2:]))
"""


def killed_after(number: int, env: Mapping[str, str], *words: str | Path) -> bool:
    """Run `headrace keys rotate`; return whether it was killed at its ``number + 1``-th record."""
    command = [sys.executable, "-c", _KILLED, str(number), "keys", "rotate", *map(str, words)]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1, -signal.SIGKILL), done.stderr
    return done.returncode == -signal.SIGKILL
