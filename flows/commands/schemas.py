"""``headrace schemas``: JSON Schemas, OpenAPI and AsyncAPI, made of the declared outputs."""

from __future__ import annotations

import argparse
from pathlib import Path

import orjson

from connectors.kafka.client import Cluster
from connectors.web import asyncapi
from connectors.web.rest import openapi
from connectors.web.rest.app import operations
from connectors.web.rest.outputs import Catalog
from connectors.web.rest.rooms import Given, rooms
from flows.engine.systems import declared_outputs
from state.schemas import schemas

NOWHERE = "127.0.0.1:1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --out and --check."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="such as docs")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 where one differs")


def run(args: argparse.Namespace) -> int:
    """Write what is not there yet or differs, and print its path; remove schemas of no output."""
    made = documents()
    there = {str(path.relative_to(args.out)) for path in (args.out / "schemas").rglob("*.json")}
    stale = [name for name in made if _content(args.out / name) != made[name]]
    surplus = sorted(there - made.keys())
    if not args.check:
        for name in stale:
            path = args.out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(made[name])
        for name in surplus:
            (args.out / name).unlink()
    for name in [*stale, *surplus]:
        print(args.out / name)
    return 1 if args.check and (stale or surplus) else 0


def documents() -> dict[str, bytes]:
    """Return path within docs -> content. No server is asked anything."""
    outputs = declared_outputs()
    catalog = Catalog.of(outputs)
    systems = {output.system for output in outputs}
    given = Given(Cluster(NOWHERE), dict.fromkeys(systems, 0))
    found = {
        **schemas(outputs),
        "openapi.json": openapi.document(operations(catalog, rooms(given)), catalog.outputs),
        "asyncapi.json": asyncapi.document(catalog.sources),
    }
    return {name: _text(document) for name, document in found.items()}


def _text(document: dict[str, object]) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
