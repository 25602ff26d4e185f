"""The launcher: what a wheel of Headrace adds to site-packages, and nothing else.

The layers have flat names (``state``, ``operators``, ...) that another distribution could
overwrite in site-packages. A wheel keeps them below this package and puts them first on
the path of the ``headrace`` program and its child processes. In a checkout there is no such
folder, and the editable install has the layers on the path.
"""

import os
import sys
from pathlib import Path

_APP = Path(__file__).parent / "_app"


def main() -> int:
    """Run the command line; return its exit code."""
    if _APP.is_dir():
        sys.path.insert(0, str(_APP))
        inherited = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([str(_APP), *([inherited] if inherited else [])])
    from flows.__main__ import main as run  # noqa: PLC0415  # found only now

    return run()
