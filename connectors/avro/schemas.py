"""Where the writer schemas of Avro messages are: a directory, or a schema registry.

What an id means never changes, so an answer is good for ever. That an id is unknown is not: the
next message with it asks again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from state.errors import Malformed, SettingsError, UnknownSchema


class Schemas(ABC):
    """Finds schemas by id."""

    @abstractmethod
    def find(self, identity: int) -> list[str]:
        """Return a schema's JSON text, behind those of the schemas that it refers to.

        Raises UnknownSchema where there is none, Malformed where it is none of Avro.
        """


class NoSchemas(Schemas):
    """Knows no schema, since ``setting`` says of none."""

    def __init__(self, setting: str) -> None:
        self._setting = setting

    def find(self, identity: int) -> list[str]:
        """Raise UnknownSchema."""
        raise UnknownSchema(f"Avro with schema {identity}, and {self._setting} is not set")


class SchemaDirectory(Schemas):
    """Schemas as files ``<id>.avsc``, in the directory that ``setting`` names.

    Raises SettingsError where there is no such directory.
    """

    def __init__(self, directory: Path, setting: str) -> None:
        if not directory.is_dir():
            raise SettingsError(f"{setting}: there is no directory {directory}")
        self._directory = directory
        self._setting = setting

    def find(self, identity: int) -> list[str]:
        """Return the file's text; raises SettingsError where it cannot be read."""
        path = self._directory / f"{identity}.avsc"
        try:
            return [path.read_text(encoding="utf-8")]
        except FileNotFoundError:
            raise UnknownSchema(f"there is no schema {path.name} in {self._setting}") from None
        except UnicodeDecodeError:
            raise Malformed(f"schema {identity} is not UTF-8") from None
        except OSError as error:
            raise SettingsError(f"{self._setting}: cannot read {path}: {error.strerror}") from None
