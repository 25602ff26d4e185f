"""``python -m connectors.web.rest FILE``: write the OpenAPI description anew."""

from __future__ import annotations

import sys
from pathlib import Path

from connectors.web.rest.app import OPENAPI

Path(sys.argv[1]).write_bytes(OPENAPI)
