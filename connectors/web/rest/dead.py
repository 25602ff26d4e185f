"""Dead letters: listed, shown and sent again."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from pydantic import Field, StringConstraints
from starlette.responses import Response

from connectors.web.reads import Read
from connectors.web.rest import answers
from connectors.web.rest.access import admit
from connectors.web.rest.blocking import run
from connectors.web.rest.operation import MISSING, Call, Operation, Parameter
from connectors.web.rest.problems import Problem
from connectors.web.rest.reading import audited, who
from connectors.web.tokens import UNSEAL
from state.errors import CannotUnseal
from state.outputs import DEAD

PATH = "/api/v1/dead/{system}"
ONE = PATH + "/{topic}/{partition}/{offset}/{sequence}"
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
Number = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,19}$")]

SYSTEM = Parameter(
    "system",
    Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")],
    "The system, or a flow of your own",
    "path",
)
PLACE = (
    SYSTEM,
    Parameter("topic", Name, "The topic that the message was in", "path"),
    Parameter("partition", Number, "Its partition", "path"),
    Parameter("offset", Number, "Its offset", "path"),
    Parameter("sequence", Number, "Which record of the message, from 0", "path"),
)
FACTS: dict[str, Any] = {
    "coordinates": {"type": "string"},
    "error": {"type": "string"},
    "reason": {"type": "string"},
    "timestamp_ns": {"type": "string", "pattern": "^-?[0-9]+$"},
    "length": {"type": "integer", "minimum": 0},
    "sealed": {"type": "boolean", "description": "Whether it rests encrypted."},
}
CONTENT: dict[str, Any] = {
    "key": {"type": ["string", "null"]},
    "value": {"type": ["string", "null"], "description": "null: too large to be kept, or sealed"},
}


async def get_list(call: Call) -> Response:
    """Answer with the facts of the newest letters, oldest first; no key and no value."""
    admit(call, "dead:read")
    system = call.given["system"]
    found = await run(call.parts.dead.listed, system)
    if found is None and all(system != output.system for output in call.parts.catalog.outputs):
        raise Problem(404, "there is no such system", "system")
    # A system of ours that has not run here yet has no topic of dead letters, and no letter.
    letters = found.letters if found else []
    wanted = call.given.get("error")
    chosen = [each for each in letters if wanted in (None, each["error"])]
    newest = chosen[-call.given.get("limit", 100) :]
    complete = found is None or found.complete
    told: dict[str, Any] = {"total": len(chosen), "complete": complete, "records": newest}
    if found is None:
        told["missing"] = f"{system}.{DEAD}"
    return answers.tagged(call.request, answers.to_body(told))


async def get_one(call: Call) -> Response:
    """Answer with one letter, its key and its value."""
    admit(call, "dead:read")
    unseal = call.parts.seal is not None and call.access.may(UNSEAL)
    shown = partial(call.parts.dead.shown, unseal=unseal)
    try:
        letter = await run(shown, call.given["system"], _coordinates(call))
    except CannotUnseal as error:
        raise Problem(409, str(error)) from None
    if letter is None:
        raise _unknown()
    if letter["sealed"] or call.parts.catalog.is_private(call.given["system"]):
        await audited(call, Read(*who(call), "dead", _coordinates(call), records=1))
    return answers.json(letter)


async def post_retry(call: Call) -> Response:
    """Send a letter again to the partition that it came from."""
    admit(call, "dead:retry")
    try:
        sent = await run(call.parts.dead.retry, call.given["system"], _coordinates(call))
    except CannotUnseal as error:
        raise Problem(409, str(error)) from None
    if sent is None:
        raise _unknown()
    if not sent:
        raise Problem(409, "the letter cannot be sent again: it was too large to keep")
    return answers.json({"retried": 1}, 202)


def _coordinates(call: Call) -> str:
    numbers = (str(int(call.given[name])) for name in ("partition", "offset", "sequence"))
    return "/".join([call.given["topic"], *numbers])


def _unknown() -> Problem:
    return Problem(404, "none of the newest dead letters is it; `headrace dead` reads them all")


def _object(properties: dict[str, Any], **optional: Any) -> dict[str, Any]:
    required = sorted(properties)
    return {"type": "object", "required": required, "properties": properties | optional}


OPERATIONS = (
    Operation(
        "GET",
        PATH,
        get_list,
        "The newest dead letters of a system, without their contents",
        "dead:read",
        parameters=(
            SYSTEM,
            Parameter("error", Name, "Only letters of this error class"),
            Parameter("limit", Annotated[int, Field(ge=1, le=1000)], "At most so many (100)"),
        ),
        answer=_object(
            {
                "total": {
                    "type": "integer",
                    "minimum": 0,
                    "description": "How many are known, of this error class if one is asked for.",
                },
                "complete": {
                    "type": "boolean",
                    "description": "false: only the newest are known, and there are older ones.",
                },
                "records": {"type": "array", "items": _object(FACTS)},
            },
            missing=MISSING,
        ),
        tagged=True,
        errors=(404,),
    ),
    Operation(
        "GET",
        ONE,
        get_one,
        "One dead letter with its key and value",
        "dead:read",
        parameters=PLACE,
        answer=_object(FACTS | CONTENT),
        errors=(404, 409),
    ),
    Operation(
        "POST",
        ONE + "/retry",
        post_retry,
        "Send a dead letter again",
        "dead:retry",
        parameters=PLACE,
        answer=_object({"retried": {"type": "integer", "const": 1}}),
        status=202,
        errors=(404, 409),
    ),
)
