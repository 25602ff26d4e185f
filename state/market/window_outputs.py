"""The outputs of windows and quotes: bars, the best quotes, signals, price bands."""

from __future__ import annotations

from state.market.columns import (
    AT_LEAST_1,
    BAR_ID,
    COORDINATES,
    CORRECTED_ID,
    INTERVAL,
    NEVER_NULL,
    NOT_NEGATIVE,
    POSITIVE,
    SOME,
    SYMBOL,
    TIME,
)
from state.outputs import LATEST, Column, Kind, Output

DOCUMENT, FLOAT, INT, KEY, TEXT = Kind.DOCUMENT, Kind.FLOAT, Kind.INT, Kind.KEY, Kind.TEXT

BARS = Output(
    "market",
    "bars",
    "start_ns",
    (
        Column("id", KEY, "symbol|interval|start_ns", BAR_ID),
        Column("symbol", KEY, "", SYMBOL),
        Column("interval", KEY, "", INTERVAL),
        Column(
            "start_ns",
            INT,
            "Begin of the window, ns since 1970 UTC; see market.align.",
            TIME | NOT_NEGATIVE,
        ),
        Column("open", FLOAT, "Price of the first trade by (event time, offset)."),
        Column("high", FLOAT, ""),
        Column("low", FLOAT, ""),
        Column("close", FLOAT, "Price of the last trade by (event time, offset)."),
        Column("volume", FLOAT, "Sum of the sizes.", POSITIVE),
        Column("vwap", FLOAT, "Sum of price times size over volume."),
        Column("trades", INT, "", AT_LEAST_1),
    ),
    key=("symbol", "interval"),
    filters=("symbol", "interval"),
    unit="day",
    description=(
        "OHLCV bars of trades, one for each symbol, interval and window that holds a "
        "trade that counts."
    ),
)

NBBO = Output(
    "market",
    "nbbo",
    "ts_ns",
    (
        Column("id", KEY, "symbol|begin of the window in ns", {"pattern": "^.+\\|[0-9]+$"}),
        Column("symbol", KEY, "", SYMBOL),
        Column("ts_ns", INT, "End of the window, ns since 1970 UTC.", TIME),
        Column("bid", FLOAT, "The highest bid; null where no venue bids.", nullable=True),
        Column(
            "bid_size",
            FLOAT,
            "Sum of the sizes of the venues at that price.",
            NEVER_NULL | NOT_NEGATIVE,
            nullable=True,
        ),
        Column(
            "ask",
            FLOAT,
            "The lowest offer; null where no venue offers.",
            nullable=True,
        ),
        Column(
            "ask_size",
            FLOAT,
            "Sum of the sizes of the venues at that price.",
            NEVER_NULL | NOT_NEGATIVE,
            nullable=True,
        ),
    ),
    key=("symbol",),
    filters=("symbol",),
    policy=LATEST,
    unit="day",
    description=(
        "The best bid and offer of all venues at the end of each window of the shortest"
        " interval that holds a quote."
    ),
)

FEATURES = Output(
    "market",
    "features",
    "ts_ns",
    (
        Column("id", KEY, "symbol|kind|time of the bar, or what the event was", SOME),
        Column("ts_ns", INT, "End of the bar or time of the event, ns since 1970 UTC.", TIME),
        Column("symbol", KEY, "", {"minLength": 1, "maxLength": 32}),
        Column(
            "kind",
            TEXT,
            "",
            {
                "enum": [
                    "order-flow-imbalance",
                    "micro-price",
                    "realised-variance",
                    "kyle-lambda",
                    "hawkes",
                    "cusum",
                    "vpin",
                    "pairs",
                ]
            },
        ),
        Column("value", FLOAT, "The signal; see docs/outputs.md for its unit."),
        Column("details", DOCUMENT, "", {"additionalProperties": {"type": ["number", "null"]}}),
    ),
    key=("symbol", "kind"),
    filters=("symbol", "kind"),
    policy=LATEST,
    unit="day",
    description="A streaming signal of a symbol's order flow or prices, or of a pair.",
)

BANDS = Output(
    "market",
    "bands",
    "ts_ns",
    (
        Column("id", KEY, "symbol and what moved it", SOME),
        Column("ts_ns", INT, "When it changed, ns since 1970 UTC.", TIME),
        Column("symbol", KEY, "", {"minLength": 1, "maxLength": 32}),
        Column("reference", FLOAT, "Null before the first trade, and in a pause.", nullable=True),
        Column("lower", FLOAT, nullable=True),
        Column("upper", FLOAT, nullable=True),
        Column("state", TEXT, "", {"enum": ["open", "limit_up", "limit_down", "paused"]}),
    ),
    key=("symbol",),
    filters=("symbol", "state"),
    policy=LATEST,
    description="Price bands of a symbol (Limit Up-Limit Down).",
)

CORRECTED_BARS = Output(
    "market",
    "corrected_bars",
    "start_ns",
    (
        Column("id", KEY, "symbol|interval|start_ns|version", CORRECTED_ID),
        Column("symbol", KEY, "", SYMBOL),
        Column("interval", KEY, "", INTERVAL),
        Column("start_ns", INT, "As in bars.", TIME | NOT_NEGATIVE),
        *(
            Column(name, FLOAT, "Null where no trade is left.", nullable=True)
            for name in ("open", "high", "low", "close", "vwap")
        ),
        Column("volume", FLOAT, "", NOT_NEGATIVE),
        Column("trades", INT, "", NOT_NEGATIVE),
        Column("version", INT, "2 for the first correction of the bar.", {"minimum": 2}),
        Column("corrected_ns", INT, "Event time of the correction, ns since 1970 UTC.", TIME),
        Column("cause", TEXT, "topic/partition/offset/sequence of it.", COORDINATES),
    ),
    message_key="symbol",
    filters=("symbol", "interval"),
    unit="day",
    description=(
        "Bars of which a trade was cancelled or corrected when they had closed, as they are "
        "without it; market.correctable."
    ),
)
