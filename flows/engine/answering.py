"""A flow that answers requests: what is slow or asynchronous enters other flows as records.

::

    requests ── answer ─┬─ answers
                        └─ dead letters ── dead

It keeps no state but its offsets. An answer is a function of its request and carries its id;
should two runs answer one, readers take the first. Nothing but other requests waits for one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import bytewax.operators as op
import orjson
from bytewax.dataflow import Dataflow

from connectors.kafka.delivery import Delivery
from connectors.kafka.sink import KafkaSink
from flows.engine.cluster import cluster_of
from flows.engine.streams import dead_letters
from flows.settings.settings import Settings
from state import metrics
from state.errors import BadRecord, Malformed
from state.inputs import Input
from state.outputs import to_json
from state.records import Messages, OutputBatch
from state.rows import Event, RowBlock
from state.shards import shard_names

if TYPE_CHECKING:
    from flows.engine.context import Context

LOG = logging.getLogger(__name__)

Request = dict[str, Any]
Answer = dict[str, Any]


@dataclass(frozen=True)
class Answering:
    """The flow ``name``: reads topic ``requests``, writes topic ``answers``.

    ``check`` raises BadRecord for a JSON object that is no request; a request has ``ts_ns``.
    ``handler`` returns its answer: ``id``, ``ts_ns``, ``scope`` (the message key) and ``status``,
    which is ``ok`` or has a ``reason``.
    """

    name: str
    requests: str
    answers: str
    check: Callable[[Request], None]
    handler: Callable[[Request], Answer]

    def build(self, context: Context) -> Dataflow:
        """Return the dataflow."""
        flow = Dataflow(self.name)
        blocks = op.input("requests", flow, context.source(self.requests, self.decode))
        op.output("answers", op.flat_map("answer", blocks, self.answer), self._sink(context))
        context.write_dead(op.flat_map("dead_letters", blocks, dead_letters))
        return flow

    def inputs(self, settings: Settings) -> list[Input]:
        """Return the requests, and the answers' topic, which is made where it is missing."""
        return [Input(self.requests), Input(self.answers, "made", partitions=1, kept=True)]

    def decode(self, messages: Messages) -> RowBlock[Event]:
        """Return the requests of a batch in order, and a dead letter for whatever is none."""
        block: RowBlock[Event] = RowBlock.of(messages)
        for row in range(len(messages)):
            value = messages.value(row)
            if not value:  # a heartbeat: no request waits for a time
                continue
            try:
                request = self._request(value)
            except BadRecord as error:
                block.dead.append(messages.dead(row, error))
            else:
                block.rows.append(Event(request["ts_ns"], messages.coordinates(row), request))
        metrics.RECORDS.labels(messages.topic).inc(len(block))
        return block

    def answer(self, item: tuple[str, RowBlock[Event]]) -> Iterator[tuple[str, OutputBatch]]:
        """Yield the answer to each request of a block, as an output keyed by its scope."""
        name, block = item
        for event in block.rows:
            found = self.handler(event.body)
            if found["status"] != "ok":
                LOG.warning("%s: %s", found["id"], found["reason"])
            metrics.OUTPUTS.labels(self.name).inc()
            yield name, self._batch(event, found)

    def _request(self, value: bytes) -> Request:
        # No limit of its own: a window of many assets is long, and the broker bounds a message.
        try:
            request: Request = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise Malformed(f"no JSON, from character {error.pos} on") from None
        self.check(request)
        return request

    def _batch(self, event: Event, found: Answer) -> OutputBatch:
        at = event.coordinates
        return OutputBatch(
            output=self.name,
            origin=str(at.partition),
            # The request's own place is a counter that needs no state: it jumps over dead letters,
            # and a topic, unlike Redis, takes no notice.
            first=at.offset + 1,
            times_ns=[found["ts_ns"]],
            ids=[found["id"]],
            keys=[found["scope"]],
            values=[to_json(found)],
        )

    def _sink(self, context: Context) -> KafkaSink:
        settings = context.settings
        return KafkaSink(
            Delivery(cluster_of(settings.kafka), context.lifecycle),
            {self.name: self.answers},
            shard_names(settings.kafka.shards),
            context.local,
            context.generation,
            context.lineage,
            places=context.places,
        )
