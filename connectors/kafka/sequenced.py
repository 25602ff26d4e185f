"""Messages of the sequenced topic: where each came from, and its JSON object."""

from __future__ import annotations

from connectors.json import parse_json
from connectors.kafka.sequencer import MAX_BYTES, SOURCE_HEADER
from connectors.kafka.sink import COUNTER_HEADER, GENERATION_HEADER, LENGTH_HEADER
from state.errors import BadRecord, Malformed
from state.records import HEARTBEAT_HEADER, Coordinates, Messages
from state.rows import RowBlock
from state.sequenced import Sequenced


class SequencedDecoder:
    """Decodes the sequenced topic; keeps nothing between two batches."""

    def decode(self, messages: Messages) -> RowBlock[Sequenced]:
        """Return the good messages, and the others as dead letters; heartbeats are passed over.

        A letter has the coordinates of the message that was appended, where these are told.
        """
        block: RowBlock[Sequenced] = RowBlock.of(messages)
        for index in range(len(messages)):
            headers = dict(messages.headers.get(index, ()))
            value = messages.value(index)
            if not value and HEARTBEAT_HEADER in headers:
                continue
            place, key = messages.coordinates(index), messages.keys[index]
            timestamp_ns = int(messages.timestamp_ns[index])
            at = place
            try:
                source = at = _source(headers)
                run, counter = _counter(headers)
                if LENGTH_HEADER in headers:
                    raise Malformed("the message is too large to be sequenced")
                # As many as the sequencer appends: a record of risk has three figures a position.
                body = parse_json(value, MAX_BYTES)
            except BadRecord as error:
                block.dead.append(messages.dead(index, error, at))
                continue
            row = Sequenced(place, source, timestamp_ns, run, counter, key, value, body)
            block.rows.append(row)
            block.newest[place.partition] = timestamp_ns
        return block


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
