"""A flow of a user's own, for the tests: adds up the numbers of each partition.

A message ``boom`` makes it fail, as a bug would; ``gone`` as a topic that lost data.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic

from flows.engine.context import Context
from flows.market.settings import Market
from flows.settings.settings import Settings
from state.errors import OffsetGone
from state.inputs import Input
from state.outputs import Output, to_json
from state.records import Messages, OutputBatch

OUTPUTS = (Output("tally", "sums", "ts_ns", (), key=("name",)),)


def inputs(settings: Settings) -> list[Input]:
    return [Input(os.environ["TALLY_TOPIC"])]


def table(settings: Settings) -> Market:
    """Its outputs depend on the settings of the market, as those of a user's flow may."""
    return settings.of(Market)


@dataclass
class Numbers:
    """Numbers by partition."""

    values: dict[int, list[int]] = field(default_factory=dict)
    ranges: dict[int, tuple[int, int]] = field(default_factory=dict)
    newest: dict[int, int] = field(default_factory=dict)
    least: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(map(len, self.values.values()))


def decode(messages: Messages) -> Numbers:
    block = Numbers(ranges=messages.ranges)
    for row in range(len(messages)):
        value = messages.value(row)
        if value == b"boom":
            raise ValueError("patient 4711 is not to be told of")
        if value == b"gone":
            raise OffsetGone(messages.topic, 0, 1, 2, 3)
        block.values.setdefault(int(messages.partition[row]), []).append(int(value))
    return block


class Tally(StatefulBatchLogic):
    """Emits the running sum after each number; the counter counts the numbers."""

    def __init__(self, resume: dict[int, tuple[int, int]] | None) -> None:
        self.state = dict(resume or {})

    def on_batch(self, values: list[Numbers]):
        batches = []
        for block in values:
            for partition, numbers in sorted(block.values.items()):
                count, total = self.state.get(partition, (0, 0))
                first = count + 1
                records = []
                for number in numbers:
                    count, total = count + 1, total + number
                    records.append({"id": f"{partition}/{count}", "sum": total})
                self.state[partition] = (count, total)
                times, ids = [0] * len(records), [str(r["id"]) for r in records]
                keys = [str(partition)] * len(records)
                values_ = [to_json(r) for r in records]
                batches.append(
                    OutputBatch("sums", str(partition), first, times, ids, keys, values_)
                )
        return batches, StatefulBatchLogic.RETAIN

    def snapshot(self):
        return dict(self.state)


def build(context: Context) -> Dataflow:
    flow = Dataflow("tally")
    numbers = op.input("numbers", flow, context.source(os.environ["TALLY_TOPIC"], decode))
    sums = op.stateful_batch("tally", numbers, Tally)
    op.output("redis", sums, context.sinks.redis)
    op.output("topics", sums, context.sinks.outputs)
    return flow
