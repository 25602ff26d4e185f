"""The OpenAPI description: stored as it is served, and valid."""

from __future__ import annotations

from jsonschema import Draft202012Validator

from connectors.web.rest.openapi import document, to_text
from tests.connectors.web.rest.rig import OPERATIONS
from tests.flows.runs import ROOT

DOCUMENT = document(OPERATIONS)


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
