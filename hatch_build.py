"""The wheel's layout: the layers below ``headrace/_app``, the launcher beside it."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LAYERS = ("state", "operators", "connectors", "flows", "replay", "benchmarks")


class WheelLayout(BuildHookInterface):
    """Says which file of the checkout goes where in a wheel; an editable install has no need."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fill ``force_include``: file of the checkout -> path in the wheel."""
        if version == "editable":
            return
        root = Path(self.root)
        places = {root / "headrace/__init__.py": "headrace/__init__.py"}
        for layer in LAYERS:
            for path in sorted((root / layer).rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    places[path] = f"headrace/_app/{path.relative_to(root).as_posix()}"
        build_data["force_include"] = {str(path): place for path, place in places.items()}
