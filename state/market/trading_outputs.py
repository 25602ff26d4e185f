"""The outputs of the trading flow."""

from __future__ import annotations

from typing import Any

from state.market.columns import AT_LEAST_1, MESSAGE, POSITIVE, SHA256, SOME, STATES, TIME
from state.outputs import LATEST, Column, Kind, Output

DOCUMENT, FLOAT, INT, KEY, TEXT = Kind.DOCUMENT, Kind.FLOAT, Kind.INT, Kind.KEY, Kind.TEXT

AUDITED = ("decisions", "state")
"""What has an entry in the audit for each record; ``limits`` follows from these and the inputs."""

_WHAT: dict[str, Any] = {
    "properties": {
        "who": {
            "type": ["string", "null"],
            "description": "The message's field by, else the account.",
        },
        "what": {
            "type": "string",
            "minLength": 1,
            "description": "A decision, an event of state, or the type of a control event.",
        },
        "output": {
            "enum": [*AUDITED, None],
            "description": "Null for a control event of which no record came.",
        },
        "record": {"type": ["string", "null"], "description": "Id of the record."},
        "sha256": {
            "type": "string",
            "pattern": "^[0-9a-f]{64}$",
            "description": "SHA-256 of the record's line, else of the event's bytes.",
        },
        "model": {
            "type": ["string", "null"],
            "description": "Id of the risk record that moved a breaker.",
        },
        "source": {
            "type": "string",
            "pattern": "^.+/[0-9]+/[0-9]+$",
            "description": "The message that was decided on.",
        },
        "sequenced": {
            "type": "string",
            "pattern": "^market\\.sequenced/0/[0-9]+$",
            "description": "Where the message stands in the sequence.",
        },
        "settings": {
            "type": "string",
            "pattern": "^[0-9a-f]{16}$",
            "description": "Hash of the settings of trading.",
        },
    },
    "required": [
        "who",
        "what",
        "output",
        "record",
        "sha256",
        "model",
        "source",
        "sequenced",
        "settings",
    ],
    "additionalProperties": False,
}
"""What an entry of the audit says."""

SEQUENCED = Column(
    "sequenced",
    TEXT,
    "Where the message stands in the sequence.",
    {"pattern": "^market\\.sequenced/0/[0-9]+$"},
)
"""The last column of whatever comes of a sequenced message."""

TRADING = (
    Output(
        "trading",
        "decisions",
        "ts_ns",
        (
            Column(
                "id",
                KEY,
                "Coordinates of the message that was decided on.",
                {"pattern": "^.+/[0-9]+/[0-9]+/0$"},
            ),
            Column("ts_ns", INT, "When it was sequenced, ns since 1970 UTC.", TIME),
            Column(
                "account",
                KEY,
                "Null where the order names none that can be.",
                {"minLength": 1, "maxLength": 64},
                nullable=True,
            ),
            Column("order_id", TEXT, "", {"minLength": 1, "maxLength": 64}),
            Column("kind", TEXT, "", {"enum": ["order", "cancel", "fill"]}),
            Column("decision", TEXT, "", {"enum": ["accept", "reject"]}),
            Column(
                "reason",
                TEXT,
                "",
                {
                    "enum": [
                        "NONE",
                        "MALFORMED",
                        "UNKNOWN_ACCOUNT",
                        "MESSAGE_RATE",
                        "DUPLICATE_ORDER",
                        "ACCOUNT_HALTED",
                        "ACCOUNT_REDUCING",
                        "UNKNOWN_SYMBOL",
                        "STALE_DATA",
                        "SYMBOL_PAUSED",
                        "MAX_QUANTITY",
                        "MAX_NOTIONAL",
                        "PRICE_COLLAR",
                        "PRICE_BAND",
                        "POSITION_LIMIT",
                        "OPEN_ORDER_LIMIT",
                        "UNKNOWN_ORDER",
                        "DUPLICATE_FILL",
                    ]
                },
            ),
            Column(
                "code",
                INT,
                "FIX field 103; 99 is another reason, -1 none.",
                {"enum": [-1, 0, 1, 2, 3, 5, 6, 15, 16, 99]},
            ),
            Column("state", TEXT, "The trading state by which it was decided.", STATES),
            Column(
                "state_source",
                TEXT,
                "The message that made the state what it is; null for ACTIVE.",
                MESSAGE,
                nullable=True,
            ),
            Column("mark", FLOAT, "The price that the checks went by.", POSITIVE, nullable=True),
            Column("mark_source", TEXT, "The message that told the mark.", MESSAGE, nullable=True),
            Column(
                "band_source",
                TEXT,
                "The message that told the price bands.",
                MESSAGE,
                nullable=True,
            ),
            Column(
                "limits_source",
                TEXT,
                (
                    "The event that set the limits; null where they are of the settings, or were "
                    "not looked at."
                ),
                MESSAGE,
                nullable=True,
            ),
            Column(
                "position",
                FLOAT,
                ("Shares of the symbol held after the message; null where it is not known."),
                nullable=True,
            ),
            SEQUENCED,
        ),
        message_key="account",
        kept=True,
        partitions=1,
        filters=("account", "kind", "decision", "reason", "state"),
        unit="day",
        description="What became of an order, a cancel or a fill.",
        rules={
            "if": {"properties": {"decision": {"const": "accept"}, "kind": {"const": "order"}}},
            "then": {"properties": {"reason": {"const": "NONE"}, "code": {"const": -1}}},
            "else": {
                "if": {"properties": {"decision": {"const": "reject"}}},
                "then": {
                    "properties": {"kind": {"const": "order"}, "reason": {"not": {"const": "NONE"}}}
                },
                "else": {
                    "properties": {"reason": {"enum": ["NONE", "UNKNOWN_ORDER", "DUPLICATE_FILL"]}}
                },
            },
        },
    ),
    Output(
        "trading",
        "state",
        "ts_ns",
        (
            Column("id", KEY, "Coordinates of the message, account, and cause or event.", SOME),
            Column("ts_ns", INT, "When the message was sequenced, ns since 1970 UTC.", TIME),
            Column("account", KEY, "* for all.", {"minLength": 1, "maxLength": 64}),
            Column("state", TEXT, "The state now in force.", STATES),
            Column(
                "event",
                TEXT,
                "",
                {"enum": ["activate", "halt", "heartbeat", "kill", "reduce", "reset", "resume"]},
            ),
            Column(
                "cause",
                TEXT,
                "What the event is about; null at a heartbeat of an ACTIVE account.",
                {"enum": ["kill", "manual", "drawdown", "var"]},
                nullable=True,
            ),
            Column("reason", TEXT, "", {"maxLength": 200}),
            Column(
                "source", TEXT, "The message that began or ended the hold.", MESSAGE, nullable=True
            ),
            SEQUENCED,
        ),
        key=("account",),
        kept=True,
        partitions=1,
        filters=("account", "state", "event", "cause"),
        policy=LATEST,
        description="The trading state of an account or of all, at a change or a heartbeat.",
    ),
    Output(
        "trading",
        "limits",
        "ts_ns",
        (
            Column("id", KEY, "Coordinates of the clock's message, account and name.", SOME),
            Column("ts_ns", INT, "When the message was sequenced, ns since 1970 UTC.", TIME),
            Column("account", KEY, "", {"minLength": 1, "maxLength": 64}),
            Column(
                "name",
                KEY,
                "Which limit, as in trading.limits.",
                {"enum": ["max_position", "max_open_orders", "drawdown_limit", "var_limit"]},
            ),
            Column(
                "used",
                FLOAT,
                "In the limit's unit; null where the figure was not told yet.",
                nullable=True,
            ),
            Column("most", FLOAT, "The limit; null where it is off.", nullable=True),
            Column("share", FLOAT, "used / most; null where one is not there.", nullable=True),
            Column(
                "symbol",
                TEXT,
                "Of max_position: the largest position with one side's open orders filled.",
                SOME,
                nullable=True,
            ),
            Column(
                "source",
                TEXT,
                "The event that set the limits; null where they are of the settings.",
                MESSAGE,
                nullable=True,
            ),
            SEQUENCED,
        ),
        key=("account", "name"),
        partitions=1,
        filters=("account", "name"),
        policy=LATEST,
        description="How much of a limit an account uses, at the heartbeat after it changed.",
    ),
    Output(
        "trading",
        "audit",
        "ts_ns",
        (
            Column("id", KEY, "", {"pattern": "^trading\\|[0-9]{12,}$"}),
            Column("ts_ns", INT, "When the message was sequenced, ns since 1970 UTC.", TIME),
            Column("chain", TEXT, "", {"const": "trading"}),
            Column("number", INT, "", AT_LEAST_1),
            Column(
                "what",
                DOCUMENT,
                "",
                _WHAT,
            ),
            Column("previous", TEXT, "Hash of the entry before; zeros at the first.", SHA256),
            Column("hash", TEXT, "SHA-256 of this entry without this field.", SHA256),
        ),
        message_key="chain",
        kept=True,
        partitions=1,
        filters=("chain",),
        rows_kept=True,
        description="Who did what, by which input and settings, in a chain of hashes.",
    ),
)
