"""Portfolios, positions and cash: events to Kafka, and what they say now."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import Response

from connectors.market.events import Cash, Portfolio, Position, event_of
from connectors.web.rest import answers
from connectors.web.rest.access import admit, rows_seen
from connectors.web.rest.blocking import Blocking, run
from connectors.web.rest.market.tables import EventTable, cash, portfolios, positions
from connectors.web.rest.operation import MISSING, Call, Operation
from connectors.web.rest.problems import Problem
from connectors.web.rest.rooms import Given
from state.errors import BadRecord, OutOfRange, Undelivered

SCOPE = "write:portfolios"
TOPICS = {
    "portfolio": "market.portfolios",
    "position": "market.positions",
    "cash": "market.positions",
}
FIELDS = {
    "portfolio": ("portfolio",),
    "position": ("portfolio", "symbol"),
    "cash": ("portfolio",),
}

_EVENTS = "headrace run market makes it where market.daily is set; or create it with one partition"
MADE_BY = dict.fromkeys(TOPICS.values(), _EVENTS) | {
    "market.control": "headrace run trading makes it; or create it with one partition"
}
"""How a topic that is missing comes to be."""
ACKNOWLEDGED: dict[str, Any] = {
    "type": "object",
    "description": "Where Kafka holds the event.",
    "required": ["topic", "partition", "offset", "ts_ns"],
    "properties": {
        "topic": {"type": "string"},
        "partition": {"type": "integer", "minimum": 0},
        "offset": {"type": "integer", "minimum": 0},
        "ts_ns": {"type": "string", "pattern": "^[0-9]+$"},
    },
}
TIME = {
    "description": "ns since 1970 UTC, without fraction or exponent; now where it is missing.",
    "anyOf": [
        {"type": "string", "pattern": "^[1-9][0-9]{0,18}$"},
        {"type": "integer", "minimum": 1, "maximum": 1 << 62},
    ],
}


class Events:
    """The operations on portfolios, positions and cash, over the topics of their events."""

    def __init__(self, given: Given) -> None:
        self._portfolios = portfolios(given.cluster)
        self._positions = positions(given.cluster)
        self._cash = cash(given.cluster)
        self._max_ahead_ns = given.max_ahead_ns["market"]

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Return what is served here."""
        path, other, money = "/api/v1/portfolios", "/api/v1/positions", "/api/v1/cash"
        return (
            _read(path, self.get_portfolios, Portfolio, "Portfolios of weights in force"),
            _write(path, self.post_portfolio, Portfolio, "Set or end a portfolio"),
            _read(other, self.get_positions, Position, "Positions in force"),
            _write(other, self.post_position, Position, "Set a position"),
            _read(money, self.get_cash, Cash, "Cash of portfolios of positions"),
            _write(money, self.post_cash, Cash, "Set the cash of a portfolio of positions"),
        )

    def close(self) -> None:
        """Close the consumers."""
        self._portfolios.close()
        self._positions.close()
        self._cash.close()

    async def get_portfolios(self, call: Call) -> Response:
        """Answer with the portfolios in force."""
        return await _now(call, "portfolio", self._portfolios)

    async def get_positions(self, call: Call) -> Response:
        """Answer with the positions in force."""
        return await _now(call, "position", self._positions)

    async def get_cash(self, call: Call) -> Response:
        """Answer with the cash that was told last."""
        return await _now(call, "cash", self._cash)

    async def post_portfolio(self, call: Call) -> Response:
        """Send a portfolio to the flow."""
        return await self._post(call, "portfolio")

    async def post_position(self, call: Call) -> Response:
        """Send a position to the flow."""
        return await self._post(call, "position")

    async def post_cash(self, call: Call) -> Response:
        """Send a portfolio's cash to the flow."""
        return await self._post(call, "cash")

    async def _post(self, call: Call, kind: str) -> Response:
        admit(call, SCOPE, FIELDS[kind])
        now_ns = call.parts.now_ns()
        event = checked(event_fields(call, kind, now_ns), now_ns + self._max_ahead_ns)
        if not rows_seen(call.access, [event], FIELDS[kind]):
            raise Problem(403, "the token's rows do not include this one", "portfolio")
        return await produce(call, TOPICS[kind], event["portfolio"], event)


async def _now(call: Call, kind: str, table: EventTable) -> Response:
    admit(call, SCOPE, FIELDS[kind])
    found = await run(table.records)
    told: dict[str, Any] = {"records": rows_seen(call.access, found or [], FIELDS[kind])}
    if found is None:
        told["missing"] = table.topic
    return answers.tagged(call.request, answers.to_body(told))


def event_fields(call: Call, kind: str, now_ns: int) -> dict[str, Any]:
    """Return the fields of an event in the body of a request. Raises Problem 400 or 415."""
    media_type = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(415, "the body has to be application/json")
    try:
        fields = orjson.loads(call.body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"the body is no JSON, from character {error.pos} on") from None
    if type(fields) is not dict:
        raise Problem(400, "the body is not an object")
    if fields.setdefault("type", kind) != kind:
        raise Problem(400, f"the type here is {kind}", "type")
    ts_ns = fields.setdefault("ts_ns", now_ns)
    if isinstance(ts_ns, str) and ts_ns.isascii() and ts_ns.isdigit() and len(ts_ns) < 20:
        fields["ts_ns"] = int(ts_ns)
    return fields


def checked(fields: dict[str, Any], latest_ns: int) -> dict[str, Any]:
    """Return an event with the same rules as the flow that will read it. Raises Problem 400."""
    try:
        event = event_of(fields)
        if event["ts_ns"] > latest_ns:
            raise OutOfRange("ts_ns: is too far ahead of now")
    except BadRecord as error:
        field, _, said = str(error).partition(": ")
        raise Problem(400, said, field[:64]) from None
    return event


async def produce(
    call: Call, topic: str, key: str, event: dict[str, Any], blocking: Blocking = run
) -> Response:
    """Answer 202 with the coordinates, once the broker has the event."""
    try:
        at = await blocking(call.parts.producing.send, topic, key, event)
    except Undelivered:
        if await blocking(call.parts.producing.is_missing, topic):
            raise Problem(503, f"Kafka has no topic {topic}: {MADE_BY[topic]}") from None
        raise
    told = {"topic": at.topic, "partition": at.partition, "offset": at.offset}
    return answers.json(told | {"ts_ns": event["ts_ns"]}, 202)


def _schema(model: type[Portfolio | Position | Cash]) -> dict[str, Any]:
    """Return the schema of a body: the event's, whose type the path says and time may miss."""
    schema = model.model_json_schema()
    schema["properties"] |= {"ts_ns": TIME}
    schema["required"] = [f for f in schema["required"] if f not in ("ts_ns", "type")]
    return schema


def _read(
    path: str, handler: Any, model: type[Portfolio | Position | Cash], summary: str
) -> Operation:
    record = model.model_json_schema()
    record["properties"]["ts_ns"] = {"type": "string", "pattern": "^[0-9]+$"}
    answer = {
        "type": "object",
        "required": ["records"],
        "properties": {"records": {"type": "array", "items": record}, "missing": MISSING},
    }
    return Operation("GET", path, handler, summary, SCOPE, answer=answer, tagged=True)


def _write(
    path: str, handler: Any, model: type[Portfolio | Position | Cash], summary: str
) -> Operation:
    return Operation(
        "POST", path, handler, summary, SCOPE, body=_schema(model), answer=ACKNOWLEDGED,
        status=202, errors=(415,),
    )  # fmt: skip
