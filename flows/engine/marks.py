"""The key by which our tools mark the messages that name first coordinates."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile

from connectors.kafka.client import Cluster
from connectors.kafka.marks import Mark
from flows.engine.cluster import cluster_of
from flows.settings.settings import Settings
from state.errors import SettingsError

FILE = "mark.key"


def marked_cluster(settings: Settings) -> Cluster:
    """Return how to reach Kafka for who marks messages or proves marks.

    The key is ``kafka.mark_key``, else that of the state directory, which is made where there is
    none. Raises SettingsError where it can be neither read nor made.
    """
    key = settings.kafka.mark_key.get_secret_value() or _kept(settings.run.state_dir / FILE)
    return replace(cluster_of(settings.kafka), mark=Mark(key.encode()))


def _kept(path: Path) -> str:
    try:
        if not path.exists():
            _make(path)
        key = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise SettingsError(f"cannot keep {path} ({reason}): set kafka.mark_key") from None
    if not key:
        raise SettingsError(f"{path} is empty: delete it, or set kafka.mark_key")
    return key


def _make(path: Path) -> None:
    """Make the file whole or not at all; others may do so at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=path.parent, prefix=FILE) as draft:  # for its owner alone
        draft.write(secrets.token_hex(32))
        draft.flush()
        os.fsync(draft.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(draft.name)
