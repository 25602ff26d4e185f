"""Where the key file is that commands find by themselves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "HEADRACE_KEY_FILE"
DEFAULT = Path(".headrace/keys/adt.key")


def key_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the path that `VARIABLE` names, else `DEFAULT`; the file need not be there."""
    return Path(environ.get(VARIABLE) or DEFAULT)
