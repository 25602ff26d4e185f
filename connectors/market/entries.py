"""Messages of the sequenced topic: where each came from, and its JSON object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from connectors.kafka.sequencer import MAX_BYTES, SOURCE_HEADER
from connectors.kafka.sink import COUNTER_HEADER, GENERATION_HEADER, LENGTH_HEADER
from connectors.market.json_ticks import parse_json
from state.errors import BadRecord, Malformed
from state.records import HEARTBEAT_HEADER, Coordinates, DeadLetter, Messages


class Sequenced(NamedTuple):
    """One message that was sequenced.

    ``coordinates`` are its own, ``source`` those of the message that was appended, ``ts_ns`` its
    Kafka timestamp. Where a flow of ours wrote that message, ``run`` names the run and the origin
    of its records and ``counter`` the record's number among them; else they are '' and 0. ``body``
    is what ``value`` says.
    """

    coordinates: Coordinates
    source: Coordinates
    ts_ns: int
    run: str
    counter: int
    key: bytes | None
    value: bytes
    body: dict[str, Any]

    def dead(self, error: BadRecord) -> DeadLetter:
        """Return the message as a dead letter."""
        return _letter(self.source, self.ts_ns, self.key, self.value, error)


@dataclass(slots=True)
class SequencedBlock:
    """Sequenced messages in their order; ``ranges``, ``newest`` and ``dead`` as in a TickBlock."""

    rows: list[Sequenced] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    ranges: dict[int, tuple[int, int]] = field(default_factory=dict)
    newest: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)


class SequencedDecoder:
    """Decodes the sequenced topic; keeps nothing between two batches."""

    def decode(self, messages: Messages) -> SequencedBlock:
        """Return the good messages, and the others as dead letters; heartbeats are passed over.

        A letter has the coordinates of the message that was appended, where these are told.
        """
        block = SequencedBlock(ranges=dict(messages.ranges))
        for index in range(len(messages)):
            headers = dict(messages.headers.get(index, ()))
            value = messages.value(index)
            if not value and HEARTBEAT_HEADER in headers:
                continue
            at = messages.coordinates(index)
            timestamp_ns = int(messages.timestamp_ns[index])
            try:
                source = at = _source(headers)
                run, counter = _counter(headers)
                if LENGTH_HEADER in headers:
                    raise Malformed("the message is too large to be sequenced")
                # As many as the sequencer appends: a record of risk has three figures a position.
                body = parse_json(value, MAX_BYTES)
            except BadRecord as error:
                block.dead.append(_letter(at, timestamp_ns, messages.keys[index], value, error))
                continue
            place, key = messages.coordinates(index), messages.keys[index]
            row = Sequenced(place, source, timestamp_ns, run, counter, key, value, body)
            block.rows.append(row)
            block.newest[place.partition] = timestamp_ns
        return block


def _letter(
    at: Coordinates, timestamp_ns: int, key: bytes | None, value: bytes, error: BadRecord
) -> DeadLetter:
    return DeadLetter(at, timestamp_ns, key, value, type(error).__name__, str(error))


def _source(headers: dict[str, bytes]) -> Coordinates:
    """Return where a message came from; raises Malformed where its header does not tell."""
    topic, _, rest = headers.get(SOURCE_HEADER, b"").decode(errors="replace").partition("/")
    partition, _, offset = rest.partition("/")
    if not (topic and _is_number(partition) and _is_number(offset)):
        raise Malformed(f"{SOURCE_HEADER} is missing or no topic/partition/offset")
    return Coordinates(topic, int(partition), int(offset))


def _counter(headers: dict[str, bytes]) -> tuple[str, int]:
    """Return the run and origin of a flow's record, and its number; ('', 0) where it is none."""
    if COUNTER_HEADER not in headers:
        return "", 0
    origin, _, number = headers[COUNTER_HEADER].decode(errors="replace").rpartition("/")
    if not _is_number(number):
        raise Malformed(f"{COUNTER_HEADER} is no origin/number")
    generation = headers.get(GENERATION_HEADER, b"").decode(errors="replace")
    return f"{generation}/{origin}", int(number)


def _is_number(digits: str) -> bool:
    # More digits than an int64 has would take time to read.
    return digits.isascii() and digits.isdigit() and len(digits) < 19
