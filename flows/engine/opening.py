"""Sealed values of input topics, opened before they are decoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, cast

import numpy as np
from bytewax.inputs import FixedPartitionedSource

from connectors.kafka.client import Cluster
from connectors.kafka.plan import BlockT
from connectors.kafka.tail import since
from flows.engine.context import Flow, MakeSource
from flows.engine.generation import Start
from flows.settings.settings import Settings
from state.errors import CannotUnseal, Misuse, Unopened
from state.records import DeadLetter, Messages
from state.sealed_values import MAGIC, ValueOpener
from state.sealing import Seal


def opening(source: MakeSource, flow: Flow, settings: Settings) -> MakeSource:
    """Return a source that opens sealed values first, where the flow has secret outputs."""
    opener = _opener(flow, settings)
    if opener is None:
        return source

    def opened(
        topic: str, decode: Callable[[Messages], BlockT]
    ) -> FixedPartitionedSource[tuple[str, BlockT], Any]:
        return source(topic, Opening(opener, decode))

    return opened


def check_keys(flow: Flow, start: Start, cluster: Cluster, settings: Settings) -> None:
    """Raise Misuse where the newest message of a partition is sealed and its key is not here.

    Such a flow would turn message after message into dead letters.
    """
    opener = _opener(flow, settings)
    for topic in start.offsets if opener else ():
        for message in since(cluster, topic, 0, 1):
            try:
                cast(ValueOpener, opener).open(topic, message.value() or b"")
            except CannotUnseal as error:
                raise Misuse(f"the newest message of {topic} does not open: {error}") from None


def _opener(flow: Flow, settings: Settings) -> ValueOpener | None:
    if not any(output.secret for output in flow.outputs):
        return None
    keyring = settings.sealing.keyring()
    return ValueOpener(None if keyring is None else Seal(keyring))


class _Buries(Protocol):
    dead: list[DeadLetter]


@dataclass(frozen=True)
class Opening(Generic[BlockT]):
    """Decodes messages whose values may be sealed; what does not open is a dead letter."""

    opener: ValueOpener
    decode: Callable[[Messages], BlockT]

    def __call__(self, messages: Messages) -> BlockT:
        """Return the block; a dead letter of a sealed value keeps it as it was."""
        clear, dead = opened(messages, self.opener)
        block = self.decode(clear)
        if dead:
            cast(_Buries, block).dead.extend(dead)
        return block


def opened(messages: Messages, opener: ValueOpener) -> tuple[Messages, list[DeadLetter]]:
    """Return messages in clear, and letters of those that do not open, which are left out."""
    if not _any_sealed(messages):
        return messages, []
    values: list[bytes] = []
    dead: list[DeadLetter] = []
    kept: list[int] = []
    for row in range(len(messages)):
        try:
            values.append(opener.open(messages.topic, messages.value(row)))
            kept.append(row)
        except CannotUnseal as error:
            dead.append(messages.dead(row, Unopened(str(error))))
    starts = np.zeros(len(values) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, values), np.int64, len(values)), out=starts[1:])
    data = np.frombuffer(b"".join(values), np.uint8)
    clear = replace(_only(messages, kept) if dead else messages, data=data, starts=starts)
    return clear, dead


def _any_sealed(messages: Messages) -> bool:
    """Return whether a value begins as a sealed one; most blocks are all in clear, or none of it.

    Without a Python object for each value: a flow may read topics that nobody seals.
    """
    begins = messages.starts[:-1][messages.starts[:-1] < messages.starts[1:]]
    return bool((messages.data[begins] == MAGIC[0]).any())


def _only(messages: Messages, rows: list[int]) -> Messages:
    """Return some rows; the ranges stay, for all that was read is done with."""
    chosen = np.array(rows, np.int64)
    headers = messages.headers
    return replace(
        messages,
        partition=messages.partition[chosen],
        offset=messages.offset[chosen],
        timestamp_ns=messages.timestamp_ns[chosen],
        keyed=messages.keyed[chosen],
        keys=[messages.keys[row] for row in rows],
        headers={place: headers[row] for place, row in enumerate(rows) if row in headers},
    )
