"""What HL7 messages become on a FHIR server, by way of the outputs of patient care."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, tzinfo
from typing import Any

import orjson

from operators.adt.fhir.resources import Resources
from operators.adt.timeline import Timeline
from operators.outputs import Outputs
from state.adt.changes import Change
from state.adt.outputs import OUTPUTS
from state.outputs import Output
from state.records import Coordinates, OutputBatch
from tests.operators.adt.fhir.records import KEYS, hashed, told
from tests.operators.adt.tables import told as blocks_of

BY_NAME: dict[str, Output] = {output.name: output for output in OUTPUTS}


class Followed:
    """A timeline, and a FHIR server's resources by their address, after each message."""

    def __init__(self, zone: tzinfo = UTC) -> None:
        self.held: dict[str, dict[str, Any]] = {}
        self._zone, self._count = zone, 0
        self._outputs, self._timeline = Outputs(OUTPUTS), Timeline(8)
        self._resources = Resources(8, hashed)

    def take(self, raw: bytes) -> list[dict[str, Any]]:
        """Return the bundles that a message leads to; hold what they tell."""
        for block in blocks_of([raw], self._count, self._zone):
            list(self._timeline.process(block, self._outputs))
        self._count += 1
        bundles = told(*_changes(self._outputs.take()), logic=self._resources)
        for bundle in bundles:
            for entry in bundle["entry"]:
                if entry["request"]["method"] == "PUT" or entry["fullUrl"] not in self.held:
                    self.held[entry["fullUrl"]] = entry["resource"]
        return bundles

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The resources of a type."""
        return [each for each in self.held.values() if each["resourceType"] == kind]


def bundles(raws: Iterable[bytes], zone: tzinfo = UTC) -> list[dict[str, Any]]:
    """Return the bundles of messages in this order."""
    followed = Followed(zone)
    return [bundle for raw in raws for bundle in followed.take(raw)]


def _changes(batches: Sequence[OutputBatch]) -> Iterator[Change]:
    for batch in batches:
        if batch.output not in KEYS:
            continue
        for row, key in enumerate(batch.keys):
            record = None if row in batch.retracted else orjson.loads(batch.values[row])
            where = Coordinates(BY_NAME[batch.output].topic, 0, batch.first + row)
            yield Change(batch.output, key, record, where, 0, b"", b"")
