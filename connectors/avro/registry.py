"""Schemas from a registry with Confluent's interface."""

from __future__ import annotations

import logging

import httpx2
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from pydantic import SecretStr

from connectors.avro.schemas import Schemas
from connectors.waiting import Outage
from state.errors import Malformed, SettingsError, UnknownSchema
from state.lifecycle import Lifecycle

LOG = logging.getLogger(__name__)

NAME = "schema registry"
TIMEOUT_S = 5.0
"""A registry that is silent for longer counts as down."""

_UNKNOWN = (40401, 40402, 40403)
"""A registry's error codes for a subject, a version and a schema that it does not have.

The HTTP status alone says less: a path that is wrong answers 404 too.
"""


class SchemaRegistry(Schemas):
    """A registry with Confluent's interface. While it does not answer, `find` waits.

    Nothing is asked before the first `find`. Raises SettingsError where it refuses the login, and
    Stopped where the process is told to stop while it waits.
    """

    def __init__(
        self, url: str, username: str, password: SecretStr, lifecycle: Lifecycle, setting: str
    ) -> None:
        config: dict[str, object] = {"url": url, "timeout": TIMEOUT_S, "max.retries": 0}
        if username:
            config["basic.auth.user.info"] = f"{username}:{password.get_secret_value()}"
        self._client = SchemaRegistryClient(config)
        self._outage = Outage(NAME, lifecycle)
        self._setting = setting

    def find(self, identity: int) -> list[str]:
        """Return the schema, however long the registry takes to answer."""
        while True:
            try:
                found = self._texts(identity, self._client.get_schema(identity))
            except SchemaRegistryError as error:
                self._judge(identity, error)
            except httpx2.HTTPError as error:
                self._wait(type(error).__name__)
            except (ValueError, AttributeError, TypeError):
                # The client expects what it is told to be JSON, and of the right form.
                self._wait("its answer is none of a schema registry")
            else:
                self._outage.over()
                return found

    def _wait(self, reason: str) -> None:
        if NAME not in self._outage.lifecycle.waiting:
            LOG.warning("waiting for the schema registry: %s", reason)
        self._outage.wait(reason)

    def _texts(self, identity: int, schema: Schema) -> list[str]:
        if schema.schema_type not in (None, "AVRO"):
            raise Malformed(f"schema {identity} is {schema.schema_type}, not Avro")
        if not schema.schema_str:
            raise ValueError(identity)
        texts: dict[str, None] = {}
        for reference in schema.references or ():
            version = self._client.get_version(str(reference.subject), int(reference.version or 0))
            texts |= dict.fromkeys(self._texts(identity, version.schema))
        return [*texts, schema.schema_str]

    def _judge(self, identity: int, error: SchemaRegistryError) -> None:
        """Return once it is time to ask again, or raise what no second answer will change."""
        if error.http_status_code == httpx2.codes.NOT_FOUND and error.error_code in _UNKNOWN:
            self._outage.over()
            raise UnknownSchema(f"the registry has no schema {identity}")
        if error.http_status_code in (httpx2.codes.UNAUTHORIZED, httpx2.codes.FORBIDDEN):
            raise SettingsError(
                f"the schema registry refuses {self._setting}_username and {self._setting}_password"
            )
        self._wait(f"HTTP status {error.http_status_code}")
