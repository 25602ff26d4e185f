"""The models system: fits and target weights that the market flow asks for, computed beside it.

::

    market.requests ── answer ─┬─ market.models
                               └─ dead letters ── dead

It keeps no state but its offsets. An answer is a function of its request and carries its id, so
what a restart writes a second time is the same, and readers take the first. A solver runs
as long as it takes; nothing but other requests waits for it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import bytewax.operators as op
import numpy as np
import orjson
from bytewax.dataflow import Dataflow

from connectors.kafka.delivery import Delivery
from connectors.kafka.sink import KafkaSink
from flows.live import cluster_of, standalone
from flows.settings import MODELS, Settings
from flows.shard import dead_letters
from flows.systems import output_topic
from operators.market.models import answer, check, garch_request, weights_request
from operators.market.optimisers.choose import OBJECTIVES
from state import metrics
from state.errors import BadRecord, Malformed
from state.outputs import to_json
from state.records import Messages, OutputBatch
from state.rows import Event, Rows
from state.shards import shard_names

if TYPE_CHECKING:
    from flows.runner import Context

LOG = logging.getLogger(__name__)

SYSTEM = "models"
REQUESTS, ANSWERS = output_topic("market", "requests"), MODELS
"""Topics of the market system's: it asks, and it reads."""


def build(context: Context) -> Dataflow:
    """Return the dataflow of the models system."""
    flow = Dataflow(SYSTEM)
    blocks = op.input("requests", flow, context.source(REQUESTS, decode))
    op.output("answers", op.flat_map("answer", blocks, answers), _sink(context))
    op.output("dead", op.flat_map("dead_letters", blocks, dead_letters), context.sinks.dead)
    return flow


def flow() -> Dataflow:
    """Return the flow for ``python -m bytewax.run flows.models``, without a supervisor."""
    return standalone(SYSTEM)


def inputs(_: Settings) -> list[str]:
    """Return the topic of answers, which is made where it is missing; market makes the other."""
    return [ANSWERS]


def warm_up() -> None:
    """Load every solver by using each once, so that no request waits for that."""
    moves = np.sin(np.arange(200.0) ** 2) * 0.01
    answer(garch_request("warm", 0, 0, moves))
    for objective in OBJECTIVES:
        answer(weights_request("warm", 0, 0, objective, {"A": moves, "B": moves[::-1]}, {}))


def decode(messages: Messages) -> Rows[Event]:
    """Return the requests of a batch in order, and a dead letter for whatever is none."""
    block: Rows[Event] = Rows.of(messages)
    for row in range(len(messages)):
        value = messages.value(row)
        if not value:  # a heartbeat: no request waits for a time
            continue
        try:
            request = _request(value)
        except BadRecord as error:
            block.dead.append(messages.dead(row, error))
        else:
            block.rows.append(Event(request["ts_ns"], messages.coordinates(row), request))
    metrics.RECORDS.labels(messages.topic).inc(len(block))
    return block


def answers(item: tuple[str, Rows[Event]]) -> Iterator[tuple[str, OutputBatch]]:
    """Yield the answer to each request of a block, as an output keyed by its scope."""
    name, block = item
    for event in block.rows:
        found = answer(event.body)
        if found["status"] != "ok":
            LOG.warning("%s: %s", found["id"], found["reason"])
        metrics.OUTPUTS.labels(SYSTEM).inc()
        yield name, _batch(event, found)


def _batch(event: Event, found: dict[str, Any]) -> OutputBatch:
    at = event.coordinates
    return OutputBatch(
        output=SYSTEM,
        origin=str(at.partition),
        # The request's own place is a counter that needs no state: it jumps over dead letters,
        # and a topic, unlike Redis, takes no notice.
        first=at.offset + 1,
        times_ns=[found["ts_ns"]],
        ids=[found["id"]],
        keys=[found["scope"]],
        values=[to_json(found)],
    )


def _request(value: bytes) -> dict[str, Any]:
    # No limit of its own: a window of many assets is long, and the broker bounds a message.
    try:
        request: dict[str, Any] = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"no JSON, from character {error.pos} on") from None
    check(request)
    return request


def _sink(context: Context) -> KafkaSink:
    settings = context.settings
    return KafkaSink(
        Delivery(cluster_of(settings.kafka), context.lifecycle),
        {SYSTEM: ANSWERS},
        shard_names(settings.kafka.shards),
        context.local,
        context.generation,
    )
