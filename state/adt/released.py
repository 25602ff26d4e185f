"""The outputs of the flow ``deid``: patient care's tables as they change, without the names.

They are made of the allow-list (state/adt/deidentified.py): what it drops is no column here. No
field tells when a message came, for times are moved by the patient's days.
"""

from __future__ import annotations

from dataclasses import replace

from state.adt.deidentified import ALLOWED, MOVED, Treatment
from state.adt.outputs import (
    BEDS,
    CONDITIONS,
    ENCOUNTERS,
    LOCATION_VISITS,
    OBSERVATIONS,
    PATIENTS,
)
from state.outputs import LATEST, Column, Kind, Output

SYSTEM = "deid"
ROW = Column(
    "row", Kind.KEY, "What tells the row apart: a keyed hash, the same for good.", passing=True
)
_ID = Column("id", Kind.KEY, "row|keyed hash of where the record behind it lies.", passing=True)
_TIME = Column(
    "ts_ns", Kind.INT, "Recorded time, moved as the patient's times are, ns since 1970 UTC.",
    passing=True,
)  # fmt: skip
_OF_ADDRESSES = (
    Column("zip3", Kind.TEXT, "First digits of the ZIP code; 000 of small areas.", optional=True),
    Column("state", Kind.TEXT, "State, in the United States.", optional=True),
)
_STAYS = Column(
    "stays", Kind.DOCUMENT, "Where the patient was, by time; see the fields of the table.",
    {"type": "array"}, optional=True,
)  # fmt: skip


def _released(output: Output) -> Output:
    """Return what an output becomes."""
    columns: list[Column] = [_ID, ROW, _TIME]
    for column in output.columns:
        treatments = ALLOWED.get(f"{output.name}.{column.name}")
        match treatments and treatments.pseudonymised:
            case Treatment.KEEP:
                columns.append(replace(column, nullable=False, optional=True))
            case Treatment.CODE:
                said = "A keyed hash that stands for it."
                columns.append(Column(column.name, Kind.KEY, said, optional=True))
            case Treatment.SHIFT:
                said = f"{column.description} Moved by the patient's days."
                name = MOVED.get(column.name, column.name)
                columns.append(Column(name, Kind.TEXT, said, optional=True))
            case Treatment.ZIP3:
                columns.extend(_OF_ADDRESSES)
    if output.rows:
        columns.append(_STAYS)
    filters = tuple(
        name
        for name in ("visit", "patient", "domain")
        if any(column.name == name for column in columns)
    )
    return Output(
        SYSTEM,
        output.name,
        "ts_ns",
        tuple(columns),
        key=("row",),
        rows=output.rows,
        filters=filters,
        policy=LATEST,
        description=f"Pseudonymised: {output.description}",
    )


SOURCES = (PATIENTS, ENCOUNTERS, LOCATION_VISITS, CONDITIONS, OBSERVATIONS, BEDS)
"""The outputs of patient care that are released."""
OUTPUTS = tuple(map(_released, SOURCES))
