"""Messages of the event topics into events: JSON objects and heartbeats (docs/formats.md)."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from connectors.heartbeat import heartbeat_ns
from connectors.json import parse_json
from state.clock import MAX_TIME_NS
from state.errors import BadRecord, FromTheFuture, OutOfRange, WrongType
from state.market.ticks import MAX_SYMBOL
from state.metrics import HEARTBEATS, KEPT, RECORDS
from state.records import RETRY_HEADER, Messages
from state.rows import Event, RowBlock

MAX_NAME = 64
"""The most characters of a portfolio's or a view's name."""

Time = Annotated[int, Field(ge=1, le=MAX_TIME_NS)]
Symbol = Annotated[str, Field(min_length=1, max_length=MAX_SYMBOL, pattern=r"^[^\x00-\x1f\x7f]+$")]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=r"^[^\x00-\x1f\x7f|]+$")]
Price = Annotated[float, Field(ge=1e-15, le=1e15, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Quantity = Annotated[float, Field(ge=-1e18, le=1e18, allow_inf_nan=False)]


def _date(text: str) -> str:
    """Return an ISO date as it is; raises ValueError."""
    return datetime.strptime(text, "%Y-%m-%d").date().isoformat()  # noqa: DTZ007  # it has no zone


class _Message(BaseModel):
    # Fields that nobody knows are ignored, as in ticks; text is never taken for a number.
    model_config = ConfigDict(strict=True, extra="ignore")

    ts_ns: Time


class Closes(_Message):
    """Closing prices of one session; ``ts_ns`` is its end, ``session`` its date at the exchange."""

    type: Literal["closes"]
    prices: dict[Symbol, Price] = Field(min_length=1)
    session: Annotated[str, AfterValidator(_date)] | None = None


class Portfolio(_Message):
    """A portfolio of weights, from now on; without weights it ends."""

    type: Literal["portfolio"]
    portfolio: Name
    # Without it the JSON Schema lets through what no pattern of a name matches.
    weights: dict[Symbol, Weight] = Field(json_schema_extra={"additionalProperties": False})
    value: float = Field(default=1.0, gt=0, le=1e18)
    rebalance: Literal["daily", "never"] = "daily"


class Position(_Message):
    """How much of a symbol a portfolio holds, from now on."""

    type: Literal["position"]
    portfolio: Name
    symbol: Symbol
    quantity: Quantity


class Cash(_Message):
    """How much cash a portfolio of positions holds beside them, from now on; negative: it owes."""

    type: Literal["cash"]
    portfolio: Name
    amount: Quantity


class View(_Message):
    """An opinion on the return per session of a combination of assets; null withdraws it."""

    type: Literal["view"]
    portfolio: Name
    view: Name
    assets: dict[Symbol, Weight] = {}
    ret: float | None = Field(alias="return", ge=-1, le=10, allow_inf_nan=False)
    confidence: float = Field(default=0.5, gt=0, lt=1)

    @model_validator(mode="after")
    def _of_something(self) -> View:
        if self.ret is not None and not any(self.assets.values()):
            raise ValueError("assets are missing")
        return self


class Split(_Message):
    """``ratio`` new shares for an old one, from ``ex_ns`` on (missing: ``ts_ns``)."""

    type: Literal["split"]
    symbol: Symbol
    ratio: float = Field(ge=1e-6, le=1e6, allow_inf_nan=False)
    ex_ns: Time | None = None


class Dividend(_Message):
    """``amount`` of cash for each share held before ``ex_ns`` (missing: ``ts_ns``)."""

    type: Literal["dividend"]
    symbol: Symbol
    amount: Price
    ex_ns: Time | None = None


_EVENT: TypeAdapter[_Message] = TypeAdapter(
    Annotated[
        Closes | Portfolio | Position | Cash | View | Split | Dividend, Field(discriminator="type")
    ]
)


class _Garch(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    mu: Finite
    omega: Finite
    alpha: Finite
    beta: Finite


class _Weights(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    weights: dict[str, Finite] = Field(min_length=1)
    solver: str = ""


_OUTPUTS: dict[str, type[BaseModel]] = {"garch": _Garch, "weights": _Weights}
"""What an answer to each model says."""


class _Answer(_Message):
    id: str
    model: str
    scope: str
    status: Literal["ok", "failed"]
    reason: str
    output: dict[str, Any]

    @model_validator(mode="after")
    def _says_what_was_asked(self) -> _Answer:
        if self.model not in _OUTPUTS or not self.id.startswith(f"{self.model}|"):
            raise ValueError("the model is unknown, or not that of the id")
        if self.status == "ok":
            _OUTPUTS[self.model].model_validate(self.output)
        return self


_ANSWER: TypeAdapter[_Answer] = TypeAdapter(_Answer)


class EventDecoder:
    """Decodes the batches of one shard of an event topic; keeps nothing between them.

    ``max_ahead_ns``: by how much an event's time may exceed its message's Kafka timestamp.
    """

    def __init__(self, max_ahead_ns: int) -> None:
        self._max_ahead_ns = max_ahead_ns

    def decode(self, messages: Messages) -> RowBlock[Event]:
        """Return the messages' events and heartbeats in order, and their dead letters."""
        block: RowBlock[Event] = RowBlock.of(messages)
        for row in range(len(messages)):
            try:
                event = self._event(messages, row)
            except BadRecord as error:
                block.dead.append(messages.dead(row, error))
                continue
            block.rows.append(event)
            partition = event.coordinates.partition
            block.newest[partition] = max(event.ts_ns, block.newest.get(partition, 0))
        RECORDS.labels(messages.topic).inc(len(block.rows))
        KEPT.labels(messages.topic)  # a topic of which nothing is kept is accounted for too
        HEARTBEATS.labels(messages.topic).inc(sum(not event.body for event in block.rows))
        return block

    def _event(self, messages: Messages, row: int) -> Event:
        latest_ns = int(messages.timestamp_ns[row]) + self._max_ahead_ns
        value = messages.value(row)
        if not value:
            return Event(heartbeat_ns(messages, row, latest_ns), messages.coordinates(row), {})
        body = event_of(parse_json(value))
        if body["ts_ns"] > latest_ns:
            raise FromTheFuture("ts_ns is too far ahead of the Kafka timestamp")
        retried = any(name == RETRY_HEADER for name, _ in messages.headers.get(row, ()))
        return Event(body["ts_ns"], messages.coordinates(row), body, retried)


class AnswerDecoder:
    """Decodes answers to model requests; they count from a time to come."""

    def decode(self, messages: Messages) -> RowBlock[Event]:
        """Return the answers in order, their bodies as they were written, and dead letters."""
        block: RowBlock[Event] = RowBlock.of(messages)
        for row in range(len(messages)):
            value = messages.value(row)
            if not value:
                continue
            try:
                # Weights of many assets are long, and whoever waits for them waits for good.
                body = parse_json(value, sys.maxsize)
                _ANSWER.validate_python(body)
            except ValidationError:
                block.dead.append(messages.dead(row, WrongType("no answer to a request")))
            except BadRecord as error:
                block.dead.append(messages.dead(row, error))
            else:
                block.rows.append(Event(body["ts_ns"], messages.coordinates(row), body))
        return block


def event_of(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the checked fields of an event, with defaults filled in.

    Raises OutOfRange; a reason names the field and never quotes its value.
    """
    try:
        return _EVENT.validate_python(fields).model_dump(by_alias=True)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        # The first step of the place is the type; below a table, names are the sender's.
        place = ".".join(str(step) for step in fault["loc"][1:2])
        raise OutOfRange(f"{place or 'event'}: {_said(fault['type'], fault['msg'])}") from None


def _said(kind: str, message: str) -> str:
    # The message of these quotes what was found.
    return "the type is unknown" if kind.startswith("union_tag") else message
