"""The OpenAPI description: stored as it is served, and valid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from jsonschema import Draft202012Validator

from benchmarks.web.writer import bar
from connectors.web.rest.answers import to_body
from connectors.web.rest.openapi import document, to_text
from tests.connectors.web.rest.rig import CATALOG, OPERATIONS
from tests.flows.runs import ROOT
from tests.operators.market.controls.stage import Stage

DOCUMENT = document(OPERATIONS, CATALOG.outputs)


def test_the_stored_description_is_the_served_one():
    stored = (ROOT / "docs" / "openapi.json").read_bytes()
    assert stored == to_text(DOCUMENT), "make docs writes it anew"


def test_every_operation_is_described_once():
    described = [
        (method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item
    ]
    assert sorted(described) == sorted((o.method, o.path) for o in OPERATIONS)
    names = [item["operationId"] for found in DOCUMENT["paths"].values() for item in found.values()]
    assert len(set(names)) == len(names)


def examples() -> Iterator[tuple[str, dict[str, Any]]]:
    """Return records as flows write them, by their times."""
    stage = Stage()
    stage.quote()
    yield "ts_ns", stage.order("1")
    for told in (stage.control("kill"), [stage.order("2")], stage.control("resume")):
        for record in told:
            yield "ts_ns", record
    yield "start_ns", bar("IBM", 10**18)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with the description's components, which it refers to."""
    return schema | {"components": DOCUMENT["components"]}


def test_records_are_described_by_the_schemas_of_their_outputs():
    components = DOCUMENT["components"]["schemas"]
    for output in CATALOG.outputs:
        Draft202012Validator.check_schema(components[output.topic])
    answer = DOCUMENT["paths"]["/api/v1/latest/{system}/{output}"]["get"]["responses"]["200"]
    schema = answer["content"]["application/json"]["schema"]
    judge = Draft202012Validator(resolved(schema))
    for time, record in examples():
        told = orjson.loads(to_body({"position": "1:0-0", "records": [record]}))
        judge.validate(told)
        for wrong in ({time: 17}, {"more": 1}):
            assert not judge.is_valid(told | {"records": [told["records"][0] | wrong]}), record


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
