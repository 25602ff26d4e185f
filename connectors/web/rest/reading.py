"""Reads of secret outputs: audited before they are answered; and those that break the glass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import unquote

from pydantic import AfterValidator
from starlette.responses import Response

from connectors.web.channels import Filters, Source
from connectors.web.reads import TIMEOUT_S, Read
from connectors.web.rest import answers
from connectors.web.rest.access import admit_scope
from connectors.web.rest.blocking import run
from connectors.web.rest.operation import Call, Operation, Parameter
from connectors.web.rest.problems import Problem
from connectors.web.tokens import BREAK_GLASS, MAX_REASON, Refused, is_reason
from state.errors import Unaudited


def _reason(text: str) -> str:
    found = unquote(text)
    if not is_reason(found):
        raise ValueError(f"the reason has to be 1 to {MAX_REASON} printable characters")
    return found


GLASS = Parameter(
    "Headrace-Break-Glass",
    Annotated[str, AfterValidator(_reason)],
    "Why one person is read beyond the token's wards; percent-encoded UTF-8. It is audited, and "
    "the answer has a header of this name.",
    "header",
)


def beyond(call: Call, source: Source, asked: Filters) -> Call:
    """Return the call with the access of a break-glass read where it is one, else as it is.

    Raises Problem 403 where the token may not, and 400 where no one person is asked for.
    """
    if GLASS.name not in call.given:
        return call
    admit_scope(call, BREAK_GLASS)
    try:
        return replace(call, access=call.access.breaking(source, asked))
    except Refused as error:
        raise Problem(400, str(error), GLASS.name) from None


async def answered(
    call: Call,
    action: str,
    source: Source,
    asked: Filters,
    find: Callable[[], tuple[Any, Sequence[Mapping[str, Any]]]],
) -> Response:
    """Answer with what ``find`` returns, which blocks: the answer, and the records it tells.

    Of a secret output that is audited first, and nobody may keep the answer. Raises Problem 503
    where it cannot be audited.
    """

    def made() -> tuple[bytes, int, tuple[str, ...]]:
        value, records = find()
        about = call.parts.reads.about(source, records) if source.private else ()
        return answers.to_body(value), len(records), about

    body, count, about = await run(made)
    if not source.private:
        return answers.tagged(call.request, body)
    reason = call.given.get(GLASS.name, "")
    await audited(call, Read(*who(call), action, source.name, asked, count, about, reason))
    return answers.unkept(body, {GLASS.name: "audited"} if reason else {})


def who(call: Call) -> tuple[str, str]:
    """Return the subject and the address that ask."""
    return call.access.subject, call.request.client.host if call.request.client else ""


async def audited(call: Call, read: Read) -> None:
    """Audit a read. Raises Problem 503 where that cannot be: then nothing is answered."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await asyncio.wrap_future(call.parts.reads.add(read))
    except (Unaudited, TimeoutError):
        detail = "the audit of reads cannot be written now, so nothing is read"
        raise Problem(503, detail, headers={"Retry-After": "5"}) from None


def audit_refusal(call: Call, operation: Operation, why: str) -> None:
    """Audit that a read was refused, where it was of a secret output; nothing waits for it."""
    catalog, given = call.parts.catalog, call.given
    action = operation.path.removeprefix("/api/v1/").partition("/")[0]
    system, output = given.get("system", ""), given.get("output", "")
    what, query = f"{system}.{output or action}", {}
    if output:
        source = catalog.sources.get(what)
        if source is None or not source.private:
            return
        fields = source.opened().fields
        query = {name: frozenset(given[name].split(",")) for name in fields if name in given}
    elif not catalog.is_private(system):
        return
    reason = given.get(GLASS.name, "")
    call.parts.reads.add(Read(*who(call), action, what, query, reason=reason, refused=why))
