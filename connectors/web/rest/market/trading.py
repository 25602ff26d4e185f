"""The trading state and the kill switch."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import orjson
import redis
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError
from starlette.responses import Response

from connectors.web.rest import answers
from connectors.web.rest.access import admit, admit_reader, rows_seen
from connectors.web.rest.blocking import command, run
from connectors.web.rest.latest import at_once, read_now
from connectors.web.rest.market.events import ACKNOWLEDGED, event_fields, produce
from connectors.web.rest.operation import Call, Operation
from connectors.web.rest.problems import Problem
from connectors.web.rest.records import record_of
from state.clock import NS
from state.errors import OutOfRange
from state.market.accounts import ALL, MAX_ACCOUNT, account_name
from state.market.outputs import TRADING

STATE = next(output for output in TRADING if output.name == "state")
TOPIC = "market.control"
SILENCE_NS = 3 * NS
"""A state that nobody has confirmed for so long counts as HALTED (docs/trading.md)."""
FIELDS = ("account",)
KNOWN_S = 1.0
"""How long it may take to ask Redis whether an account is known."""
UNKNOWN = (
    "trading knows no such account and refuses this: check the name; to hold an account back "
    'before its first order, send "new": true'
)


def _spelled(account: str) -> str:
    try:
        return account if account == ALL else account_name(account)
    except OutOfRange:
        raise PydanticCustomError("account", "is no name of an account") from None


class Switch(BaseModel):
    """Whose kill switch is thrown or taken back, and why."""

    model_config = ConfigDict(strict=True, extra="forbid")

    account: Annotated[
        str,
        Field(min_length=1, max_length=MAX_ACCOUNT, pattern=r"^[^\x00-\x1f\x7f|]+$"),
        AfterValidator(_spelled),
    ]
    """``*``: all accounts."""
    reason: Annotated[str, Field(max_length=200)] = ""
    new: bool = False
    """Whether an account that is not known becomes one."""


async def get_state(call: Call) -> Response:
    """Answer with the last word on each account, and how long ago the newest came."""
    admit_reader(call, "trading", "state", FIELDS)
    now = await run(read_now, call.parts.redis, STATE)
    every = [orjson.loads(value) for value in now.values]
    newest_ns = max((record["ts_ns"] for record in every), default=0)
    silent = call.parts.now_ns() - newest_ns > SILENCE_NS
    return answers.json(
        {
            "position": now.position,
            "records": rows_seen(call.access, every, FIELDS),
            "heard_ns": newest_ns,
            "silent": silent,
        }
    )


async def post_kill(call: Call) -> Response:
    """Throw the kill switch of an account, or of all."""
    return await _switch(call, "kill")


async def post_resume(call: Call) -> Response:
    """Take it back."""
    return await _switch(call, "resume")


async def _switch(call: Call, kind: str) -> Response:
    admit(call, "control", FIELDS)
    now_ns = call.parts.now_ns()
    fields = event_fields(call, kind, now_ns)
    if fields.pop("ts_ns") != now_ns:
        raise Problem(400, "the time of a control event is when it comes", "ts_ns")
    del fields["type"]
    try:
        switch = Switch.model_validate(fields)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        raise Problem(400, fault["msg"], str(fault["loc"][0])[:64]) from None
    told = switch.model_dump(exclude=None if switch.new else {"new"})
    event = {"type": kind, "ts_ns": now_ns, "by": call.access.subject, **told}
    if not rows_seen(call.access, [event], FIELDS):
        raise Problem(403, "the token's rows do not include this account", "account")
    # It is sent whatever Redis knows: the flow decides, and a stop is never kept waiting.
    answer, known = await asyncio.gather(
        produce(call, TOPIC, switch.account, event, command), _is_known(call, switch)
    )
    if not known:
        raise Problem(404, UNKNOWN, "account")
    return answer


async def _is_known(call: Call, switch: Switch) -> bool:
    """Return whether the flow takes the account for known, as far as Redis tells at once.

    Where Redis does not answer, or holds no state of just now, nothing is said against it.
    """
    if switch.new or switch.account == ALL:
        return True
    try:
        async with asyncio.timeout(KNOWN_S):
            everyone, account = await run(_told, call.parts.redis, switch.account)
    except (redis.RedisError, TimeoutError, Problem):
        return True
    heard_ns = orjson.loads(everyone)["ts_ns"] if everyone else 0
    return account is not None or call.parts.now_ns() - heard_ns > SILENCE_NS


def _told(client: redis.Redis, account: str) -> list[bytes | None]:
    """Return the last states of all and of one account."""
    _, (found,) = at_once(
        client,
        STATE.system,
        lambda pipe, keys: pipe.hmget(keys.latest(STATE.name), [ALL, account]),
    )
    return list(found)


def _write(path: str, handler: Any, summary: str) -> Operation:
    body = Switch.model_json_schema()
    body["properties"]["account"]["description"] = "* for all."
    return Operation(
        "POST", path, handler, summary, "control", body=body, answer=ACKNOWLEDGED, status=202,
        errors=(404, 415), vital=True,
    )  # fmt: skip


OPERATIONS = (
    Operation(
        "GET",
        "/api/v1/trading/state",
        get_state,
        "The state of every account; `silent` means that all count as HALTED",
        "read:trading.state",
        answer={
            "type": "object",
            "required": ["position", "records", "heard_ns", "silent"],
            "properties": {
                "position": {"type": "string"},
                "records": {"type": "array", "items": record_of(STATE)},
                "heard_ns": {"type": "string", "pattern": "^[0-9]+$"},
                "silent": {"type": "boolean"},
            },
        },
    ),
    _write("/api/v1/trading/kill", post_kill, "Throw the kill switch"),
    _write("/api/v1/trading/resume", post_resume, "Take the kill switch back"),
)
