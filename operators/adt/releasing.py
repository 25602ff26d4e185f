"""Records of patient care as the flow ``deid`` hands them on: pseudonymised, one by one.

A pseudonymised row is made of its own record alone: a merge comes as the retraction of rows and as
new ones. Of each row no more is kept than that it is there. Safe Harbor is for tables alone: who
watches a record arrive knows its date, whatever is in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from operators.adt.deidentify import Deidentifier, Names, Row
from operators.logic import Logic
from operators.outputs import Outbox
from operators.pages import Pages
from state.adt.changes import Change
from state.clock import DAY_NS
from state.rows import RowBlock

_STAYS = "stays"


class Releasing(Logic):
    """Emits what may leave of each record, and takes back what may not or is no more."""

    def __init__(self, pages: int, names: Names, small_zip3: Collection[str]) -> None:
        self.entities: Pages[int] = Pages(pages, int, int)
        """The time of the last record of each row, ns, as it was told."""
        self._names = names
        # The year is that by which Safe Harbor tells who is 90+.
        self._deidentifier = Deidentifier("pseudonymised", names, {}, 0, small_zip3)

    def process(self, item: RowBlock[Change], outbox: Outbox) -> Iterable[Any]:
        """Take the records of a block."""
        for change in item.rows:
            outbox.timestamp_ns = change.timestamp_ns
            self._release(change, outbox)
        return ()

    def snapshot(self) -> dict[str, Any]:
        """Return what is not in pages: nothing."""
        return {}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""

    def _release(self, change: Change, outbox: Outbox) -> None:
        at, record, output = change.coordinates, change.record, change.output
        key = self._names.code(f"row of {output}", (change.key,))
        # In clear, where they lie would tell in which order patients' records came, and with
        # their times by how many days more one is moved than another.
        place = self._names.code(f"record of {output}", (str(at.partition), str(at.offset)))
        identity, entity = f"{key}|{place}", f"{output}|{key}"
        last_ns = self.entities.get(entity)
        row = {} if record is None else self._row(output, record)
        if record is not None and row:
            time_ns = self._time_ns(record, key, last_ns)
            row |= {"id": identity, "row": key, "ts_ns": time_ns}
            outbox.emit(output, at.partition, time_ns, identity, key, row)
            self.entities.put(entity, time_ns)
        elif last_ns is not None:
            outbox.retract(output, at.partition, last_ns + 1, identity, key)
            self.entities.drop(entity)

    def _time_ns(self, record: Row, key: str, last_ns: int | None) -> int:
        """Return the recorded time, moved by the days of the patient.

        Of a bed that is empty now it would tell when the patient left, whose own times are moved:
        so it is next to that of the record before.
        """
        patient = record.get("patient")
        if not patient and last_ns is not None:
            return last_ns + 1
        return int(record["ts_ns"]) + DAY_NS * self._names.days((record["domain"], patient or key))

    def _row(self, output: str, record: Row) -> Row:
        """Return what may leave of a record, {} for nothing."""
        whole = self._deidentifier.row(output, record)
        if _STAYS not in record:
            return whole
        # Each stay is a row of the table, with what all of them share.
        base = {name: field for name, field in record.items() if name != _STAYS}
        rows = [self._deidentifier.row(output, base | stay) for stay in record[_STAYS]]
        return whole | {_STAYS: [{k: v for k, v in row.items() if k not in whole} for row in rows]}
