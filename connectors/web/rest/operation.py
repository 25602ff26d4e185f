"""What a route is: its parameters, body, answer and access, for the router and for OpenAPI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from connectors.web.rest.problems import MEDIA_TYPE, Problem
from connectors.web.tokens import Access

if TYPE_CHECKING:
    from connectors.web.rest.parts import Parts


MISSING: dict[str, Any] = {
    "type": "string",
    "description": "The topic that is not there, so that nothing can be in it; else not told.",
}


@dataclass(frozen=True)
class Call:
    """One request whose access, parameters and size are good."""

    request: Request
    parts: Parts
    access: Access
    given: Mapping[str, Any]
    """The checked parameters of path and query; those that were not given are missing."""
    body: bytes


@dataclass(frozen=True)
class Parameter:
    """A parameter: ``kind`` is what pydantic makes of its text."""

    name: str
    kind: Any
    description: str
    where: Literal["path", "query", "header"] = "query"

    def parse(self, text: str) -> Any:
        """Return the value. Raises Problem 400, or 404 for a part of the path."""
        try:
            return TypeAdapter(self.kind).validate_strings(text)
        except ValidationError as error:
            said = error.errors(include_url=False, include_input=False)[0]["msg"]
            status = 404 if self.where == "path" else 400
            raise Problem(status, said, self.name) from None


@dataclass(frozen=True)
class Operation:
    """One method of one path.

    ``scope`` says what a token needs, for people; the handler asks `Access`. ``errors`` are
    those that not every operation answers. An ``open`` one is served without a token. A ``vital``
    one is served whatever else is asked for: the kill switch, and whether we live. One that
    ``reads_query`` checks the parameters of the query by itself. ``told`` makes the answer of an
    error, which has the type ``error_type``.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    handler: Callable[[Call], Awaitable[Response]]
    summary: str
    scope: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: dict[str, Any] | None = None
    answer: dict[str, Any] = field(default_factory=lambda: {"type": "object"})
    media_type: str = "application/json"
    status: int = 200
    tagged: bool = False
    errors: tuple[int, ...] = ()
    open: bool = False
    vital: bool = False
    reads_query: bool = False
    told: Callable[[Problem], Response] = Problem.response
    error_type: str = MEDIA_TYPE


def parse(operation: Operation, request: Request) -> dict[str, Any]:
    """Return the values of the parameters that were given. Raises Problem with the name."""
    known = {each.name: each for each in operation.parameters if each.where == "query"}
    given = {}
    query = [] if operation.reads_query else request.query_params.multi_items()
    for name, text in query:
        if name not in known:
            raise Problem(400, "there is no such parameter here", name[:64])
        if name in given:
            raise Problem(400, "the parameter is there twice", name)
        given[name] = known[name].parse(text)
    for each in operation.parameters:
        if each.where == "path":
            given[each.name] = each.parse(request.path_params[each.name])
        elif each.where == "header" and each.name in request.headers:
            given[each.name] = each.parse(request.headers[each.name])
    return given
