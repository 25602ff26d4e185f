"""What a worker process tells its supervisor: lines on its stderr, which is a pipe.

Anything else on that pipe (a panic's text, a library's complaint) is kept as a last
resort: it is the reason of a death that left no report.
"""

from __future__ import annotations

import os
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from state.errors import (
    DamagedState,
    Fenced,
    ForeignMarks,
    HeadraceError,
    KeyTaken,
    LogChanged,
    LostTopic,
    LostWrites,
    Misuse,
    OffsetGone,
    PartitionsChanged,
    SettingsError,
    SnapshotRefused,
    TopicReplaced,
)

FINAL = (
    SettingsError,
    OffsetGone,
    TopicReplaced,
    LogChanged,
    PartitionsChanged,
    SnapshotRefused,
    DamagedState,
    LostWrites,
    LostTopic,
    ForeignMarks,
    KeyTaken,
    Fenced,
)
"""No restart heals these."""

_MARK = b"\x1eheadrace "


@dataclass(frozen=True)
class Failure:
    """Why a worker ended. ``rank`` orders the failures of one group: the highest is the cause."""

    reason: str
    final: bool = False
    misuse: bool = False
    rank: int = 2


@dataclass(frozen=True)
class Report:
    """One line: why the worker failed, or that it was told to stop."""

    failure: Failure | None = None

    def send(self) -> None:
        """Write it to stderr, in one piece."""
        os.write(2, _MARK + orjson.dumps(asdict(self)) + b"\n")


def parse(line: bytes) -> Report | None:
    """Return the report in a line, or None where it is something else."""
    if not line.startswith(_MARK):
        return None
    content = orjson.loads(line[len(_MARK) :])
    failure = content.pop("failure")
    return Report(failure=Failure(**failure) if failure else None, **content)


def describe(error: BaseException, *, building: bool) -> Failure:
    """Return what to tell of an exception, on one line.

    The message of an exception that is not ours may hold a part of a record, so once
    records flow only its type and place are told; the traceback is logged at debug level.
    """
    if isinstance(error, HeadraceError):
        # A cluster that is out of reach is Misuse at the first start, and an outage later.
        final = isinstance(error, FINAL) or (building and isinstance(error, Misuse))
        return Failure(" ".join(str(error).split()), final, isinstance(error, Misuse), 3)
    kind = type(error).__name__
    if kind == "PanicException":
        return Failure("Bytewax stopped: a worker or the connection to one is gone", rank=0)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    if building:
        return Failure(
            f"cannot build the flow: {kind}{place}: {' '.join(str(error).split())}", True
        )
    return Failure(f"{kind}{place} (--debug logs the traceback)")
