"""The fuzz campaign: damaged messages and streams through all that reads them.

Input n follows from the seed and n alone, so a failure is found again by its number. A timeline
takes the messages of a block, and then another one begins.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

from benchmarks.adt.guard import Guard, Wrong
from benchmarks.adt.mutations import damaged, messages
from benchmarks.adt.streams import converse, stream
from connectors.adt import messages as adt
from connectors.adt.envelope import TOPIC
from flows.adt.settings import Adt
from operators.adt.timeline import Timeline
from operators.outputs import Outputs
from state.adt.facts import Told
from state.adt.outputs import OUTPUTS
from state.clock import MAX_TIME_NS, NS
from state.errors import BadRecord
from state.outputs import MAX_KEY_BYTES
from state.records import Coordinates, OutputBatch
from state.rows import RowBlock

BLOCK = 500
"""Messages of one timeline, and inputs from one look at the memory to the next."""
SENT_NS = 1_720_000_000 * NS
"""The Kafka timestamp of all messages: 2024-07-03, after the sound ones were recorded."""
Tell = Callable[[int], None]


def fuzz_messages(seed: int, begin: int, count: int, advance: Tell = lambda count: None) -> Guard:
    """Read the damaged messages from ``begin`` on; return what came of them.

    Raises Failure where reading one raises anything but BadRecord, or a timeline anything at all.
    """
    sound = messages(seed)
    with Guard("message") as guard:
        for number in range(begin, begin + count):
            if number == begin or number % BLOCK == 0:
                first, work = number, _Timeline()
                guard.look(number)
            rng = Random(f"message {seed} {number}")
            raw = damaged(rng, rng.choice(sound), sound)
            guard.run(number, first, partial(work.take, raw, number))
            advance(1)
    return guard


def fuzz_streams(seed: int, begin: int, count: int, advance: Tell = lambda count: None) -> Guard:
    """Let damaged streams through the conversation; return what came of them.

    Raises Failure where one raises, or is not answered as it has to be (`streams.converse`).
    """
    sound = [each for each in messages(seed) if len(each) < 1000]
    with Guard("stream") as guard:
        for number in range(begin, begin + count):
            if number % BLOCK == 0:
                guard.look(number)
            rng = Random(f"stream {seed} {number}")
            guard.run(number, number, partial(converse, rng, stream(rng, sound)))
            advance(1)
    return guard


class _Timeline:
    """A timeline, and what it has told."""

    def __init__(self) -> None:
        self._logic, self._outputs = Timeline(Adt().pages), Outputs(OUTPUTS)

    def take(self, raw: bytes, number: int) -> str:
        """Read a message and let the timeline follow; return what came of it."""
        try:
            said = adt.parse(raw)
        except BadRecord:
            return "refused"
        if said.recorded_ns > SENT_NS + Adt().max_ahead:
            return "is of the future"  # which the flow refuses, too: it would move the clock
        if not said.statements:
            return "says nothing"
        told = Told(Coordinates(TOPIC, 0, number), *said)
        list(self._logic.process(RowBlock(TOPIC, 1, [told]), self._outputs))
        for batch in self._outputs.take():
            _check(batch)
        return "told"


def _check(batch: OutputBatch) -> None:
    """Raise Wrong where a sink could not take a record."""
    if max(len(each.encode()) for each in (*batch.ids, *batch.keys)) > MAX_KEY_BYTES:
        raise Wrong(f"a record of {batch.output} has a longer key than sinks take")
    if not all(0 <= each <= MAX_TIME_NS for each in batch.times_ns):
        raise Wrong(f"a record of {batch.output} has a time that sinks do not take")
