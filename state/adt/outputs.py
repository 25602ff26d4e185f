"""The outputs of patient care."""

from __future__ import annotations

from state.outputs import LATEST, Column, Kind, Output

TIME = {"format": "date-time"}
DOMAIN = Column("domain", Kind.KEY, "The merge domain: the facility (MSH-4), or what it maps to.")
PATIENT = Column("patient", Kind.KEY, "Patient number that survives: id^^^authority.")
VISIT = Column("visit", Kind.KEY, "Visit number: id^^^authority.")
RECORDED = Column(
    "ts_ns", Kind.INT, "Recorded time of the message that changed it, ns since 1970 UTC.",
    passing=True,
)  # fmt: skip
OF_VISITS = (
    Column("id", Kind.KEY, "visit|patient|domain|version.", passing=True),
    DOMAIN,
    PATIENT,
    VISIT,
    Column("version", Kind.INT, "How often the visit has changed.", {"minimum": 1}, passing=True),
    RECORDED,
    Column("because", Kind.DOCUMENT,
           "Where the messages lie that it follows from, the last 32: topic:partition:offset.",
           {"type": "array"}, passing=True),
)  # fmt: skip
MESSAGE = Column(
    "message", Kind.TEXT, "Where the message lies that told it: topic:partition:offset.",
    passing=True,
)  # fmt: skip

LOCATION_VISITS = Output(
    "adt",
    "location_visits",
    "ts_ns",
    (
        *OF_VISITS,
        Column("stays", Kind.DOCUMENT,
               "Where the patient was: location, class, start, end, inferred; by time.",
               {"type": "array"}),
    ),
    key=("visit", "patient", "domain"),
    rows="stays",
    filters=("visit", "patient", "domain"),
    policy=LATEST,
    secret=True,
    description="The whole timeline of a visit, each time that it changes.",
)  # fmt: skip
ENCOUNTERS = Output(
    "adt",
    "encounters",
    "ts_ns",
    (
        *OF_VISITS,
        Column("status", Kind.KEY, "How it stands, in the words of FHIR R4.", {
            "enum": ["planned", "in-progress", "onleave", "finished", "cancelled",
                     "entered-in-error"]}),
        Column("class", Kind.TEXT, "The last class (PV1-2).", nullable=True),
        Column("admitted", Kind.TEXT, "When it began.", TIME, nullable=True),
        Column("discharged", Kind.TEXT, "When the patient left.", TIME, nullable=True),
        Column("disposition", Kind.TEXT, "Where to (PV1-36).", nullable=True),
    ),
    key=("visit", "patient", "domain"),
    filters=("visit", "patient", "status", "domain"),
    policy=LATEST,
    secret=True,
    description="How a visit stands, each time that it changes.",
)  # fmt: skip
ANOMALIES = Output(
    "adt",
    "anomalies",
    "ts_ns",
    (
        Column("id", Kind.KEY, "anomaly|message.", passing=True),
        Column("anomaly", Kind.KEY, "All of what it is, and the domain."),
        DOMAIN,
        RECORDED,
        Column("kind", Kind.KEY, "What is strange, such as double_booked."),
        Column("patient", Kind.KEY, PATIENT.description, nullable=True),
        Column("visit", Kind.KEY, VISIT.description, nullable=True),
        Column("location", Kind.KEY, "The bed.", nullable=True),
        Column("start", Kind.TEXT, "Since when, or when it happened.", TIME, nullable=True),
        Column("end", Kind.TEXT, "Until when; null while it lasts.", TIME, nullable=True),
        Column("field", Kind.TEXT, "The field that is strange, such as EVN-6.", nullable=True),
        MESSAGE,
    ),
    key=("anomaly",),
    filters=("kind", "patient", "visit", "location", "domain"),
    policy=LATEST,
    secret=True,
    description="What is strange: in messages, visits and beds; taken back when it is no more.",
)  # fmt: skip
BEDS = Output(
    "adt",
    "beds",
    "ts_ns",
    (
        Column("id", Kind.KEY, "location|domain|message.", passing=True),
        DOMAIN,
        RECORDED,
        Column("location", Kind.KEY, "The bed: ward^room^bed."),
        Column("status", Kind.KEY, "As A20 told it last (table 0116).", nullable=True),
        Column("patient", Kind.KEY, "Who is in it; the last to come, of several.", nullable=True),
        Column("visit", Kind.KEY, VISIT.description, nullable=True),
        Column("since", Kind.TEXT,
               "Since when the patient is in it; of an empty bed, since when the status holds.",
               TIME, nullable=True),
        MESSAGE,
    ),
    key=("location", "domain"),
    filters=("location", "patient", "domain"),
    policy=LATEST,
    secret=True,
    description="Each bed as it is now.",
)  # fmt: skip
OUTPUTS = (LOCATION_VISITS, ENCOUNTERS, ANOMALIES, BEDS)
