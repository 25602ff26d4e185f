"""The OpenAPI description: stored as it is served, valid, and true of the running app."""

from __future__ import annotations

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as bounds
from jsonschema import Draft202012Validator
from schemathesis import checks

from connectors.web.rest.app import OPENAPI, OPERATIONS
from tests.connectors.postgres.rows import bar
from tests.connectors.postgres.writing import bars, partition
from tests.connectors.web.rest.rig import serving, settings, write
from tests.flows.runs import ROOT

DOCUMENT = orjson.loads(OPENAPI)


EXAMPLES = 25
"""Requests of each operation that are made up from its description, good and bad ones."""


def needs(operation) -> str:
    """Return ``kafka`` where an operation waits for the broker, which is not there."""
    kafka = ("portfolios", "positions", "dead", "kill", "resume")
    return "kafka" if any(word in operation.path for word in kafka) else ""


def test_the_stored_description_is_the_served_one():
    stored = (ROOT / "docs" / "openapi.json").read_bytes()
    assert stored == OPENAPI, "python -m connectors.web.rest docs/openapi.json writes it anew"


def test_every_operation_is_described_once():
    described = [
        (method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item
    ]
    assert sorted(described) == sorted((o.method, o.path) for o in OPERATIONS)
    names = [item["operationId"] for found in DOCUMENT["paths"].values() for item in found.values()]
    assert len(set(names)) == len(names)


def test_every_schema_is_a_schema():
    seen = 0
    for item in DOCUMENT["paths"].values():
        for operation in item.values():
            contents = [r.get("content", {}) for r in operation["responses"].values()]
            contents.append(operation.get("requestBody", {}).get("content", {}))
            for content in contents:
                for media in content.values():
                    Draft202012Validator.check_schema(media["schema"])
                    seen += 1
    assert seen > len(OPERATIONS)


@pytest.fixture(scope="module")
def described(valkey, postgres):
    """The description that a feed tells of itself, over a Redis and a PostgreSQL with bars."""
    url = f"redis://127.0.0.1:{valkey.port}/1000"
    found = [bar(number) for number in range(10)]
    write(url, "bars", found, [b["symbol"] for b in found])
    made = partition(postgres.dsn)
    made.write_batch([bars(0, 10)])
    made.snapshot()
    made.close()
    with serving(settings(url, postgres.dsn)) as client:
        yield schemathesis.openapi.from_url(str(client.base_url.join("/openapi.json")))


HONEST = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


FUZZED = sorted((o.method, o.path) for o in OPERATIONS if "kafka" not in needs(o))


@pytest.mark.parametrize(("method", "path"), FUZZED)
def test_whatever_is_asked_the_answer_is_as_described(described, method, path):
    answered = 0

    @given(case=described[path][method].as_strategy())
    @bounds(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    def ask(case):
        nonlocal answered
        case.call_and_validate(checks=HONEST)
        answered += 1

    ask()
    assert answered > 0
