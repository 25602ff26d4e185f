"""Which schemas a place holds that a setting names: a URL, a directory or none."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from connectors.avro.schemas import NoSchemas, SchemaDirectory, Schemas
from state.lifecycle import Lifecycle


def schemas_at(
    place: str, username: str, password: SecretStr, lifecycle: Lifecycle, setting: str
) -> Schemas:
    """Return the schemas at a URL or in a directory; none where ``place`` is ''.

    ``setting`` is what the user knows the place as, for what has to be said of it.
    """
    if place.startswith(("http://", "https://")):
        # Its HTTP client is large, and few processes read from a registry.
        from connectors.avro.registry import SchemaRegistry  # noqa: PLC0415

        return SchemaRegistry(place, username, password, lifecycle, setting)
    return SchemaDirectory(Path(place), setting) if place else NoSchemas(setting)
