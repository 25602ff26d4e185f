"""The outputs of patient care."""

from __future__ import annotations

from state.outputs import LATEST, Column, Kind, Output

TIMELINE = Output(
    "adt",
    "timeline",
    "ts_ns",
    (
        Column("id", Kind.KEY, "visit|SHA-256 of all that is known of it."),
        Column("visit", Kind.KEY, "Visit number (PV1-19.1)."),
        Column("patient", Kind.KEY, "Patient number (PID-3.1)."),
        Column("ts_ns", Kind.INT, "The newest recorded time of the visit, ns since 1970 UTC."),
        Column("stays", Kind.DOCUMENT, "Where the patient was, since when, by clinical time.",
               {"type": "array"}),
    ),
    key=("visit",),
    filters=("visit", "patient"),
    policy=LATEST,
    secret=True,
    description="The whole timeline of a visit, each time that it changes.",
)  # fmt: skip
OUTPUTS = (TIMELINE,)
