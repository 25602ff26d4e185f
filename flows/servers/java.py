"""The Java that servers of this machine run on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache

MIN_JAVA = 17


@cache
def java(least: int) -> str | None:
    """Return the absolute path of a Java of at least this version."""
    home = os.environ.get("JAVA_HOME")
    path = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if not path:
        return None
    told = subprocess.run([path, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', told)
    return path if version and int(version[1]) >= least else None
