"""The outputs that list ticks: what is missing, late or was seen before."""

from __future__ import annotations

from state.market.columns import AT_LEAST_1, COORDINATES, NOT_NEGATIVE, SOME, SYMBOL, TICK, TIME
from state.outputs import Column, Kind, Output

INT, KEY, TEXT = Kind.INT, Kind.KEY, Kind.TEXT

BEHIND, TOO_OLD, WINDOW_CLOSED, UNKNOWN_TRADE, SESSION_CLOSED, REPLACED = (
    "behind the watermark", "sequence too old", "window closed", "unknown trade", "session closed",
    "replaced",
)  # fmt: skip
"""Why a record is ``late``; the last two are of events alone."""
EVENTS = ("closes", "split", "dividend", "portfolio", "position", "cash", "view")

TICK_BY_COORDINATES = (
    Column("id", KEY, "topic/partition/offset/sequence", COORDINATES),
    Column("ts_ns", INT, "Event time, ns since 1970 UTC.", TIME),
    Column("topic", TEXT, "The input topic.", SOME),
    Column("partition", INT, "", NOT_NEGATIVE),
    Column("offset", INT, "", NOT_NEGATIVE),
    Column("sequence", INT, "Which record of the message, from 0.", NOT_NEGATIVE),
    Column("symbol", KEY, "", SYMBOL),
)
"""The first columns of an output that lists ticks, as `operators.market.work.Work.listed`."""

GAPS = Output(
    "market",
    "gaps",
    "ts_ns",
    (
        Column(
            "id", KEY, "topic/partition/offset/sequence of the tick behind the gap", COORDINATES
        ),
        Column("ts_ns", INT, "Its event time, ns since 1970 UTC.", TIME),
        Column("symbol", KEY, "", SYMBOL),
        Column("venue", TEXT, "Empty where the ticks name none.", {"maxLength": 16}),
        Column("type", TEXT, "", TICK),
        Column("first_missing", INT, "", NOT_NEGATIVE),
        Column("last_missing", INT, "", NOT_NEGATIVE),
        Column("count", INT, "", AT_LEAST_1),
    ),
    message_key="symbol",
    filters=("symbol", "venue", "type"),
    description="Sequence numbers that are missing before a tick.",
)

LATE = Output(
    "market",
    "late",
    "ts_ns",
    (
        *TICK_BY_COORDINATES[:-1],
        Column("symbol", KEY, "Empty for an event that names none.", {"maxLength": 32}),
        Column(
            "venue",
            TEXT,
            "Empty where the ticks name none.",
            {"type": "string", "maxLength": 16},
            nullable=True,
            optional=True,
        ),
        Column("type", TEXT, "", {"enum": [*TICK["enum"], *EVENTS]}),
        Column("watermark_ns", INT, "The partition's watermark; of an event, what it had told."),
        Column(
            "reason",
            TEXT,
            "",
            {
                "enum": [
                    BEHIND,
                    TOO_OLD,
                    WINDOW_CLOSED,
                    UNKNOWN_TRADE,
                    SESSION_CLOSED,
                    REPLACED,
                ]
            },
        ),
    ),
    message_key="symbol",
    filters=("symbol", "venue", "type", "reason"),
    by_coordinates=True,
    description="Ticks and events that came too late to be taken in.",
)

DUPLICATES = Output(
    "market",
    "duplicates",
    "ts_ns",
    (
        *TICK_BY_COORDINATES,
        Column("venue", TEXT, "Empty where the ticks name none.", {"maxLength": 16}),
        Column("type", TEXT, "", TICK),
        Column("seq", INT, "The sequence number that was seen before.", NOT_NEGATIVE),
    ),
    message_key="symbol",
    filters=("symbol", "venue", "type"),
    by_coordinates=True,
    description="Ticks whose sequence number was seen before, where market.list_duplicates.",
)
