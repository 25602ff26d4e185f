"""The directory of one generation of a flow: its lock, its start, its snapshots.

::

    <run.state_dir>/<system>/<generation>/
        lock         held while the flow runs: one copy at a time
        start.json   where every topic was first read from, the settings' hash, the lineage
        recovery/    Bytewax's snapshots
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson

from state.disk import put_in_place
from state.errors import DamagedState, Misuse

if TYPE_CHECKING:
    from connectors.kafka.written import Place  # it loads numpy, and the supervisor imports this

Offsets = dict[str, dict[int, int]]
"""Topic -> partition -> the offset to read first."""


@dataclass(frozen=True)
class Start:
    """What the first start of a generation decided, once and for all."""

    system: str
    generation: int
    settings_hash: str
    offsets: Offsets
    settings: dict[str, Any] = field(default_factory=dict)
    """What the settings said beyond their defaults, for people and for a refusal to name."""
    topics: dict[str, str] = field(default_factory=dict)
    """Topic -> its identity, which another topic of the same name does not have."""
    outputs: dict[str, Place] = field(default_factory=dict)
    """Where each output topic is read back from as long as there is no snapshot."""

    @property
    def lineage(self) -> str:
        """Return the name of the one stream of outputs that this start leads to."""
        named = {k: v for k, v in _plain(self).items() if k not in ("settings", "outputs")}
        if not self.topics:  # of a release that did not keep them
            del named["topics"]
        content = orjson.dumps(named, option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(content).hexdigest()[:16]


@dataclass(frozen=True)
class Generation:
    """The place of one generation on disk."""

    root: Path
    number: int

    @property
    def directory(self) -> Path:
        """Return where all of it lies."""
        return self.root / str(self.number)

    @property
    def recovery(self) -> Path:
        """Return the directory for Bytewax's RecoveryConfig."""
        return self.directory / "recovery"

    def locked(self) -> AbstractContextManager[None]:
        """Hold the lock of the directory, which is made where it does not exist.

        Raises Misuse where another process holds it.
        """
        return locked(
            self.directory,
            f"generation {self.number} of {self.root.name} is already running: stop it, "
            "or start another with --generation N",
        )

    def load(self) -> Start | None:
        """Return the stored start, or None before the first. Raises DamagedState."""
        path = self.directory / "start.json"
        try:
            return _parsed(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise DamagedState(str(path), _fault(error), "") from None

    def store(self, start: Start) -> None:
        """Write the start so that it outlives a power cut, whole or not at all."""
        draft = self.directory / "start.json.draft"
        draft.write_bytes(orjson.dumps(_plain(start), option=orjson.OPT_INDENT_2))
        put_in_place(draft, self.directory / "start.json")


@contextmanager
def locked(directory: Path, refusal: str) -> Iterator[None]:
    """Hold a directory's lock; raises Misuse with ``refusal`` where another process does."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Misuse(refusal) from None
        yield


def find_generation(root: Path, wanted: int | None, configured: int) -> Generation:
    """Return the generation asked for, else the highest there is, at least the configured one.

    Raises Misuse for one below 1.
    """
    if wanted is not None:
        if wanted < 1:
            raise Misuse(f"--generation {wanted}: generations count from 1")
        return Generation(root, wanted)
    found = [int(path.parent.name) for path in root.glob("[0-9]*/start.json")]
    return Generation(root, max([*found, configured]))


def _parsed(data: bytes) -> Start:
    content = orjson.loads(data)
    offsets = {topic: _by_number(each) for topic, each in content.pop("offsets").items()}
    outputs = {
        topic: (identity, _by_number(each))
        for topic, (identity, each) in content.pop("outputs", {}).items()
    }
    return Start(**content, offsets=offsets, outputs=outputs)


def _fault(error: Exception) -> str:
    """Say what is wrong with a file that was read."""
    if isinstance(error, OSError):
        return str(error.strerror)
    return "it is no JSON" if isinstance(error, orjson.JSONDecodeError) else "it is no start"


def writer_name() -> str:
    """Return a name for a run that begins now, for the lease and for people."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return f"process {os.getpid()} on {socket.gethostname()} since {since} ({uuid4().hex[:8]})"


def _plain(start: Start) -> dict[str, object]:
    offsets = {topic: _by_text(each) for topic, each in start.offsets.items()}
    outputs = {topic: (name, _by_text(each)) for topic, (name, each) in start.outputs.items()}
    return asdict(start) | {"offsets": offsets, "outputs": outputs}


def _by_text(partitions: dict[int, int]) -> dict[str, int]:
    return {str(partition): offset for partition, offset in partitions.items()}


def _by_number(partitions: dict[str, int]) -> dict[int, int]:
    return {int(partition): offset for partition, offset in partitions.items()}
