"""The outputs of risk by the bar: forecasts, and moves that exceed them."""

from __future__ import annotations

from state.market.columns import (
    AT_LEAST_1,
    METHODS,
    NEVER_NULL,
    NOT_NEGATIVE,
    NUMBERS,
    POSITIVE,
    SCOPE,
    SHARE,
    SOME,
    TIME,
)
from state.outputs import LATEST, Column, Kind, Output

BOOL, FLOAT, INT, JSON, KEY, TEXT = Kind.BOOL, Kind.FLOAT, Kind.INT, Kind.JSON, Kind.KEY, Kind.TEXT

RISK = Output(
    "market",
    "risk",
    "ts_ns",
    (
        Column("id", KEY, "scope|method|interval|confidence|horizon|ts_ns", SOME),
        Column("ts_ns", INT, "End of the last bar that the figure knows, ns since 1970 UTC.", TIME),
        SCOPE,
        Column(
            "method",
            TEXT,
            ("How the figure was made; figures of different methods are never comparable."),
            METHODS,
        ),
        Column("confidence", FLOAT, "", SHARE),
        Column(
            "horizon",
            INT,
            "In steps of interval; figures grow with its square root.",
            AT_LEAST_1,
        ),
        Column("var", FLOAT, "A simple return; a loss is positive.", NEVER_NULL, nullable=True),
        Column("es", FLOAT, "A simple return; a loss is positive.", NEVER_NULL, nullable=True),
        Column(
            "components",
            JSON,
            (
                "Component VaR by symbol, which sum to var; null for a symbol, and where the "
                "method gives none."
            ),
            NUMBERS,
            nullable=True,
        ),
        Column(
            "valid",
            BOOL,
            ("False with too few returns, or where the method says that it does not hold."),
        ),
        Column(
            "interval",
            TEXT,
            ("What one step of the horizon is: a bar of risk.interval such as 1m, or session."),
            SOME,
        ),
        Column(
            "marginal",
            JSON,
            (
                "Marginal VaR by symbol, per unit of more weight; times the weight it is the "
                "component. Null where there are no components."
            ),
            NUMBERS,
            nullable=True,
            optional=True,
        ),
        Column(
            "incremental",
            JSON,
            (
                "Incremental VaR by symbol: var less what it is without the position, valued "
                "anew. Null but at session closes, and for Monte Carlo."
            ),
            NUMBERS,
            nullable=True,
            optional=True,
        ),
    ),
    key=("scope", "method", "interval", "confidence", "horizon"),
    filters=("scope", "method", "interval", "confidence", "horizon", "valid"),
    policy=LATEST,
    version=2,
    description=(
        "Value at risk and expected shortfall of a symbol or a portfolio, from the "
        "close of one bar of risk.interval, or of one session, on."
    ),
    rules={
        "if": {"properties": {"scope": {"pattern": "^symbol:"}}},
        "then": {
            "properties": {
                "components": {"type": "null"},
                "marginal": {"type": "null"},
                "incremental": {"type": "null"},
            }
        },
    },
)

SIGNALS = Output(
    "market",
    "signals",
    "ts_ns",
    (
        Column(
            "id",
            KEY,
            ("topic/partition/offset/sequence of the trade, or scope|ts_ns of a portfolio's bar"),
            SOME,
        ),
        Column(
            "ts_ns",
            INT,
            ("Event time of the trade, or end of the portfolio's bar, ns since 1970 UTC."),
            TIME,
        ),
        SCOPE,
        Column("kind", TEXT, "", {"enum": ["breach_down", "breach_up"]}),
        Column("method", TEXT, "", {"const": "ewma-normal"}),
        Column("value", FLOAT, "The move, a signed simple return since the close of the last bar."),
        Column("threshold", FLOAT, "The forecast that it exceeds, with the same sign."),
    ),
    message_key="scope",
    filters=("scope", "kind", "method"),
    description="Moves that exceed the last forecast.",
    rules={
        "if": {"properties": {"kind": {"const": "breach_down"}}},
        "then": {"properties": {"value": {"exclusiveMaximum": 0}, "threshold": {"maximum": 0}}},
        "else": {"properties": {"value": POSITIVE, "threshold": NOT_NEGATIVE}},
    },
)
