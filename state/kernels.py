"""The caches of compiled kernels, kept no longer than what the kernels are made of."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import ModuleType


def drop_stale_kernels(package: Path, *constants: ModuleType) -> None:
    """Drop the compiled kernels of a package that are older than any of its sources.

    numba sees when the source of a kernel changes, but not that of a kernel which it calls, nor of
    a module whose ``constants`` it uses: without this, a checkout that is updated would go on with
    the old ones.
    """
    sources = [*package.glob("*.py"), *(Path(str(module.__file__)) for module in constants)]
    newest = max(path.stat().st_mtime_ns for path in sources)
    for index in (package / "__pycache__").glob("*.nbi"):
        with suppress(FileNotFoundError):  # another process that starts has dropped it
            if index.stat().st_mtime_ns < newest:
                index.unlink()
