"""The data keys of a sealed recording under the key that seals now; its cells stay as they are."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq

from replay.recording import metadata_of
from replay.sealed import SEALED_KEY, sealed_metadata, wrapped
from replay.writer import parquet_writer
from state.disk import put_in_place
from state.errors import Misuse
from state.sealing import Seal


def names_former_key(path: Path, seal: Seal) -> bool:
    """Return whether the data keys of a recording are sealed with another key. Raises Misuse."""
    metadata = metadata_of(path)
    found = wrapped(path, metadata.metadata or {}, metadata.num_row_groups)
    return found is not None and found.key_id != seal.key_id


def rewrap(path: Path, seal: Seal) -> None:
    """Seal the data keys of a sealed recording with the active key.

    The file is written beside, brought to the disk and put in the place of the former one: a kill
    leaves one or the other, and the next call starts anew. Raises Misuse where the key that the
    file names is missing.
    """
    with alone(path) as (path, partial):
        metadata = metadata_of(path)
        found = wrapped(path, metadata.metadata or {}, metadata.num_row_groups)
        if found is None:
            return
        said = sealed_metadata(found.unwrapped(lambda: seal), seal)
        others = {name: value for name, value in metadata.metadata.items() if name != SEALED_KEY}
        others.pop(b"ARROW:schema", None)  # the writer's own, which it writes anew
        with pq.ParquetFile(path) as old, parquet_writer(partial, others) as new:
            for index in range(old.num_row_groups):
                table = old.read_row_group(index, use_threads=False)
                new.write_table(table.cast(new.schema), row_group_size=table.num_rows)
            new.add_key_value_metadata(said)
        put_in_place(partial, path)


@contextmanager
def alone(path: Path) -> Iterator[tuple[Path, Path]]:
    """Yield a file, whatever links name it, and the name of one beside it to write.

    Raises Misuse where another process writes that: the two would write over each other.
    """
    path = path.resolve()
    held = os.open(path, os.O_RDONLY)
    try:
        if not _is_ours(held, path):
            raise Misuse(f"another process rotates {path}")
        yield path, path.with_name(path.name + ".partial")
    finally:
        os.close(held)


def _is_ours(held: int, path: Path) -> bool:
    """Lock an open file; return whether nobody else had it, and it is still the one at a path."""
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.path.samestat(os.fstat(held), path.stat())
