"""Who asks, and what of the answer they may see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from starlette.requests import Request

from connectors.web.rest.operation import Call
from connectors.web.rest.parts import Parts
from connectors.web.rest.problems import Problem
from connectors.web.tokens import ANYONE, Access, Refused
from state.clock import NS

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="headrace"'}


def access_of(request: Request, parts: Parts) -> Access:
    """Return what a request's token lets it do. Raises Problem 401 (RFC 6750, 3)."""
    if parts.tokens is None:
        return ANYONE
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Problem(401, "a bearer token is needed", headers=CHALLENGE)
    try:
        return parts.tokens.verify(token.strip(), parts.now_ns() / NS)
    except Refused as error:
        told = {"WWW-Authenticate": CHALLENGE["WWW-Authenticate"] + ', error="invalid_token"'}
        raise Problem(401, str(error), headers=told) from None


def admit(call: Call, scope: str, fields: Iterable[str] = ()) -> None:
    """Raise Problem 403 unless the token has the scope, and its rows speak of these fields."""
    admit_scope(call, scope)
    _admit_rows(call.access, fields)


def admit_scope(call: Call, scope: str) -> None:
    """Raise Problem 403 unless the token has the scope, whatever its rows are."""
    if not call.access.may(scope):
        raise _no_scope(scope)


def admit_reader(
    call: Call, system: str, output: str, fields: Iterable[str], *, private: bool = False
) -> None:
    """Raise Problem 403 unless the token may read the output; ``private`` is a secret one."""
    if not call.access.may_read(system, output):
        raise _no_scope(f"read:{system}.{output}")
    _admit_rows(call.access, fields, private=private)


def rows_seen(
    access: Access, records: Iterable[dict[str, Any]], fields: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the records that a token's row filters let through, by these of their fields."""
    return [
        record for record in records if access.admits({field: record[field] for field in fields})
    ]


def _admit_rows(access: Access, fields: Iterable[str], *, private: bool = False) -> None:
    if not access.speaks_of(fields, private=private):
        raise Problem(403, "the token is limited to rows, which this does not have")


def _no_scope(scope: str) -> Problem:
    told = f'{CHALLENGE["WWW-Authenticate"]}, error="insufficient_scope", scope="{scope}"'
    return Problem(403, f"the token lacks the scope {scope}", headers={"WWW-Authenticate": told})
