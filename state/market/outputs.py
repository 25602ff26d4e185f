"""The outputs of the market flow; those of trading are beside them."""

from __future__ import annotations

from state.market.columns import (
    AT_LEAST_1,
    BAR_ID,
    COORDINATES,
    CORRECTED_ID,
    INTERVAL,
    METHODS,
    NEVER_NULL,
    NOT_NEGATIVE,
    NUMBERS,
    PORTFOLIO,
    POSITIVE,
    PROBABILITY,
    SCOPE,
    SHA256,
    SHARE,
    SOME,
    SYMBOL,
    TICK,
    TIME,
)
from state.market.trading_outputs import TRADING
from state.outputs import LATEST, Column, Kind, Output

__all__ = ["MARKET", "OUTPUTS", "TRADING"]

BOOL, DOCUMENT, FLOAT, INT = Kind.BOOL, Kind.DOCUMENT, Kind.FLOAT, Kind.INT
JSON, KEY, TEXT = Kind.JSON, Kind.KEY, Kind.TEXT

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

MARKET = (
    Output(
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
    ),
    Output(
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
    ),
    Output(
        "market",
        "risk",
        "ts_ns",
        (
            Column("id", KEY, "scope|method|interval|confidence|horizon|ts_ns", SOME),
            Column(
                "ts_ns", INT, "End of the last bar that the figure knows, ns since 1970 UTC.", TIME
            ),
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
    ),
    Output(
        "market",
        "signals",
        "ts_ns",
        (
            Column(
                "id",
                KEY,
                (
                    "topic/partition/offset/sequence of the trade, or scope|ts_ns of a portfolio's "
                    "bar"
                ),
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
            Column(
                "value", FLOAT, "The move, a signed simple return since the close of the last bar."
            ),
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
    ),
    Output(
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
    ),
    Output(
        "market",
        "bands",
        "ts_ns",
        (
            Column("id", KEY, "symbol and what moved it", SOME),
            Column("ts_ns", INT, "When it changed, ns since 1970 UTC.", TIME),
            Column("symbol", KEY, "", {"minLength": 1, "maxLength": 32}),
            Column(
                "reference", FLOAT, "Null before the first trade, and in a pause.", nullable=True
            ),
            Column("lower", FLOAT, nullable=True),
            Column("upper", FLOAT, nullable=True),
            Column("state", TEXT, "", {"enum": ["open", "limit_up", "limit_down", "paused"]}),
        ),
        key=("symbol",),
        filters=("symbol", "state"),
        policy=LATEST,
        description="Price bands of a symbol (Limit Up-Limit Down).",
    ),
    Output(
        "market",
        "pnl",
        "ts_ns",
        (
            Column("id", KEY, "scope|ts_ns", SOME),
            Column("ts_ns", INT, "Close of the session, ns since 1970 UTC.", TIME),
            PORTFOLIO,
            Column("return", FLOAT, "Simple return since the last close, dividends included."),
            Column("pnl", FLOAT, "The same in money."),
            Column("value", FLOAT, "Value at the close of what is held, in money."),
            Column(
                "equity",
                FLOAT,
                "That with cash: what the portfolio would be worth if it sold, in money.",
                {"type": "number"},
                nullable=True,
                optional=True,
            ),
            Column(
                "exceptions",
                DOCUMENT,
                (
                    "By method|confidence: whether the loss exceeded the VaR that was forecast for "
                    "this session."
                ),
                {"additionalProperties": {"type": "boolean"}},
            ),
        ),
        key=("scope",),
        filters=("scope",),
        policy=LATEST,
        description="Profit or loss of a portfolio over one session.",
    ),
    Output(
        "market",
        "backtest",
        "ts_ns",
        (
            Column("id", KEY, "scope|method|confidence|ts_ns", SOME),
            Column("ts_ns", INT, "Close of the session, ns since 1970 UTC.", TIME),
            PORTFOLIO,
            Column("method", TEXT, "", METHODS),
            Column("confidence", FLOAT, "", SHARE),
            Column(
                "observations",
                INT,
                (
                    "Sessions with a forecast from a full window, also where the method did not "
                    "vouch for it."
                ),
                AT_LEAST_1,
            ),
            Column("exceptions", INT, "Sessions whose loss exceeded it.", NOT_NEGATIVE),
            Column(
                "kupiec_lr",
                FLOAT,
                ("Likelihood ratio of the frequency of exceptions (1 degree of freedom)."),
                NOT_NEGATIVE,
            ),
            Column("kupiec_p", FLOAT, "", PROBABILITY),
            Column(
                "christoffersen_lr",
                FLOAT,
                "Likelihood ratio of their independence (1 degree of freedom).",
                NOT_NEGATIVE,
            ),
            Column("christoffersen_p", FLOAT, "", PROBABILITY),
            Column(
                "conditional_lr", FLOAT, "The sum of both (2 degrees of freedom).", NOT_NEGATIVE
            ),
            Column("conditional_p", FLOAT, "", PROBABILITY),
            Column(
                "zone",
                TEXT,
                "Basel's traffic light over the last 250 sessions.",
                {"enum": ["green", "yellow", "red"]},
            ),
            Column(
                "acerbi_szekely",
                FLOAT,
                (
                    "Second statistic of Acerbi and Székely for ES: about 0 where ES holds, "
                    "negative where losses exceed it."
                ),
            ),
        ),
        key=("scope", "method", "confidence"),
        filters=("scope", "method", "confidence", "zone"),
        policy=LATEST,
        description="How the forecasts of one method for a portfolio have held up to a session.",
    ),
    Output(
        "market",
        "stress",
        "ts_ns",
        (
            Column("id", KEY, "scope|scenario|ts_ns", SOME),
            Column("ts_ns", INT, "Close of the session, ns since 1970 UTC.", TIME),
            PORTFOLIO,
            Column("scenario", TEXT, "", SOME),
            Column("return", FLOAT, "As a share of the portfolio; a loss is negative."),
            Column("pnl", FLOAT, "The same in money."),
        ),
        key=("scope", "scenario"),
        filters=("scope", "scenario"),
        policy=LATEST,
        description="What a portfolio would gain or lose in a scenario.",
    ),
    Output(
        "market",
        "weights",
        "ts_ns",
        (
            Column("id", KEY, "scope|ts_ns", SOME),
            Column("ts_ns", INT, "From when they count, ns since 1970 UTC.", TIME),
            PORTFOLIO,
            Column(
                "objective",
                TEXT,
                "",
                {
                    "enum": [
                        "min-variance",
                        "max-sharpe",
                        "min-cvar",
                        "risk-parity",
                        "hrp",
                        "black-litterman",
                    ]
                },
            ),
            Column("weights", JSON, "", NUMBERS),
            Column(
                "stale",
                BOOL,
                "Whether these are the last good weights, since the optimiser failed.",
            ),
            Column(
                "reason", TEXT, "Why it failed, or that sessions were missing; empty otherwise."
            ),
            Column("solver", TEXT, "What found them; empty where nothing did."),
            Column("model", TEXT, "id of the answer, which is that of its request", SOME),
        ),
        key=("scope",),
        filters=("scope", "objective"),
        policy=LATEST,
        description="Target weights of a portfolio.",
    ),
    Output(
        "market",
        "requests",
        "ts_ns",
        (
            Column("id", KEY, "model|scope|ts_ns|hash of the input", SOME),
            Column("ts_ns", INT, "Time of the data, ns since 1970 UTC.", TIME),
            Column("counts_from_ns", INT, "From when the answer counts, ns since 1970 UTC.", TIME),
            Column("model", TEXT, "", {"enum": ["garch", "weights"]}),
            PORTFOLIO,
            Column(
                "input", DOCUMENT, "All that the answer depends on; see operators/market/models.py."
            ),
        ),
        filters=("scope", "model"),
        description=(
            "A fit that is asked for; its answer is a record of the topic market.models "
            "with the same id."
        ),
    ),
    Output(
        "market",
        "audit",
        "ts_ns",
        (
            Column("id", KEY, "", {"pattern": "^market\\|[0-9]+$"}),
            Column("ts_ns", INT, "When it counted, ns since 1970 UTC.", TIME),
            Column("chain", TEXT, "", {"const": "market"}),
            Column("number", INT, "", AT_LEAST_1),
            Column(
                "what",
                DOCUMENT,
                "The decision: scope, model record, settings hash, time of the data.",
            ),
            Column("previous", TEXT, "Hash of the entry before; zeros at the first.", SHA256),
            Column("hash", TEXT, "SHA-256 of this entry without this field.", SHA256),
        ),
        message_key="chain",
        filters=("chain",),
        kept=True,
        rows_kept=True,
        description="A decision, in a chain of hashes (see trading.md).",
    ),
    Output(
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
    ),
    Output(
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
            Column(
                "watermark_ns", INT, "The partition's watermark; of an event, what it had told."
            ),
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
    ),
    Output(
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
    ),
    Output(
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
    ),
)
OUTPUTS = (*MARKET, *TRADING)
"""Every output of the system."""
