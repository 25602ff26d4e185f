"""A small FHIR R4 server: transactions of conditional creates and updates, over HTTP.

It holds what the specification says of them ("http.html", transactions): all or nothing, references
among the entries resolved, a match by identifier or tag updated or left alone, two matches 412.
What it is sent is checked with the models of R4B.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote

from fhir.resources.R4B.bundle import Bundle
from pydantic import ValidationError

Answer = tuple[int, dict[str, str], Any]
"""Status, headers and body."""


class Refusal(Exception):
    """A transaction that cannot be; args: (status, code of the issue, its place)."""


class Endpoint:
    """What the server holds, and how it answers. ``refuses`` tells which resources it takes not."""

    def __init__(self) -> None:
        self.resources: dict[str, dict[str, Any]] = {}
        """Type/number -> resource."""
        self.versions: dict[str, int] = {}
        self.sizes: list[int] = []
        """The entries of each transaction that came."""
        self.next: list[Answer] = []
        """Answers that are given before any work is done, the first first."""
        self.refuses: Callable[[dict[str, Any]], bool] = lambda resource: False
        self.headers: dict[str, str] = {}
        """Those of the last request."""
        self.came = threading.Condition()
        self._lock = threading.Lock()

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The resources of a type."""
        return [each for each in self.resources.values() if each["resourceType"] == kind]

    def answer(self, body: bytes, headers: dict[str, str]) -> Answer:
        """Take a transaction."""
        with self._lock:
            bundle = json.loads(body)
            self.headers = headers
            self.sizes.append(len(bundle["entry"]))
            if self.next:
                return self.next.pop(0)
            before = deepcopy((self.resources, self.versions))
            try:
                Bundle.model_validate(bundle)
                entries = self._transact(bundle["entry"])
            except ValidationError:
                self.resources, self.versions = before
                return 400, {}, outcome("structure", "Bundle")
            except Refusal as refusal:
                self.resources, self.versions = before
                status, code, place = refusal.args
                return status, {}, outcome(code, place)
            return 200, {}, {"resourceType": "Bundle", "type": "transaction-response", **entries}

    def _transact(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
        places: dict[str, str] = {}
        for entry in entries:
            if entry["fullUrl"] in places:
                raise Refusal(400, "duplicate", "Bundle.entry")
            places[entry["fullUrl"]] = self._place(entry)
        answers = []
        for entry in entries:
            place, resource = places[entry["fullUrl"]], resolved(entry["resource"], places)
            if self.refuses(resource):
                raise Refusal(422, "business-rule", f"{resource['resourceType']}.name")
            if entry["request"]["method"] == "PUT" or place not in self.resources:
                changed = self.resources.get(place) != resource
                self.versions[place] = self.versions.get(place, 0) + changed
                self.resources[place] = resource
            answers.append({"response": {"status": "200", "location": place}})
        return {"entry": answers}

    def _place(self, entry: dict[str, Any]) -> str:
        request, kind = entry["request"], entry["resource"]["resourceType"]
        query = request["url"].partition("?")[2] or request["ifNoneExist"]
        [(name, [token])] = parse_qs(query).items()
        system, _, value = unquote(token).partition("|")
        found = [
            place
            for place, each in self.resources.items()
            if each["resourceType"] == kind and (system, value) in tokens(each, name)
        ]
        if len(found) > 1:
            raise Refusal(412, "multiple-matches", kind)
        new = sum(1 for place in self.versions if place.startswith(f"{kind}/")) + 1
        if not found:
            self.versions[f"{kind}/{new}"] = 0
        return found[0] if found else f"{kind}/{new}"


def tokens(resource: dict[str, Any], name: str) -> set[tuple[str, str]]:
    """What a search by identifier or tag finds a resource by."""
    if name == "_tag":
        return {(each["system"], each["code"]) for each in resource.get("meta", {}).get("tag", [])}
    return {(each["system"], each["value"]) for each in resource.get("identifier", [])}


def resolved(value: Any, places: dict[str, str]) -> Any:
    """A resource whose references among the entries name places on the server."""
    if isinstance(value, list):
        return [resolved(each, places) for each in value]
    if not isinstance(value, dict):
        return value
    found = {name: resolved(each, places) for name, each in value.items()}
    if isinstance(reference := found.get("reference"), str):
        if reference not in places:
            raise Refusal(400, "not-found", "Reference")
        found["reference"] = places[reference]
    return found


def outcome(code: str, place: str) -> dict[str, Any]:
    """An OperationOutcome whose text tells what nobody may log."""
    issue = {
        "severity": "error", "code": code, "expression": [place], "diagnostics": "SECRET of Doe",
    }  # fmt: skip
    return {"resourceType": "OperationOutcome", "issue": [issue]}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    endpoint: Endpoint

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, headers, answer = self.endpoint.answer(body, dict(self.headers))
        data = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
        with self.endpoint.came:
            self.endpoint.came.notify_all()

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(endpoint: Endpoint, port: int = 0) -> Iterator[str]:
    """Serve on loopback; yield the address."""
    handler = type("Handler", (_Handler,), {"endpoint": endpoint})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/fhir"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
