"""What happens to a record: pure functions, stateful logic, kernels; no I/O."""

from __future__ import annotations

from pathlib import Path


def drop_stale_kernels(package: Path) -> None:
    """Drop the compiled kernels of a package that are older than any of its sources.

    numba sees when the source of a kernel changes, but not that of a kernel which it calls: without
    this, a checkout that is updated would go on with the old one.
    """
    newest = max(path.stat().st_mtime_ns for path in package.glob("*.py"))
    for index in (package / "__pycache__").glob("*.nbi"):
        if index.stat().st_mtime_ns < newest:
            index.unlink(missing_ok=True)


drop_stale_kernels(Path(__file__).parent / "market" / "kernels")
