"""The outputs of daily risk: results, backtests, stress, target weights and their audit."""

from __future__ import annotations

from state.market.columns import (
    AT_LEAST_1,
    METHODS,
    NOT_NEGATIVE,
    NUMBERS,
    PORTFOLIO,
    PROBABILITY,
    SHA256,
    SHARE,
    SOME,
    TIME,
)
from state.outputs import LATEST, Column, Kind, Output

BOOL, DOCUMENT, FLOAT, INT = Kind.BOOL, Kind.DOCUMENT, Kind.FLOAT, Kind.INT
JSON, KEY, TEXT = Kind.JSON, Kind.KEY, Kind.TEXT

PNL = Output(
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
)

BACKTEST = Output(
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
        Column("conditional_lr", FLOAT, "The sum of both (2 degrees of freedom).", NOT_NEGATIVE),
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
)

STRESS = Output(
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
)

WEIGHTS = Output(
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
        Column("reason", TEXT, "Why it failed, or that sessions were missing; empty otherwise."),
        Column("solver", TEXT, "What found them; empty where nothing did."),
        Column("model", TEXT, "id of the answer, which is that of its request", SOME),
    ),
    key=("scope",),
    filters=("scope", "objective"),
    policy=LATEST,
    description="Target weights of a portfolio.",
)

REQUESTS = Output(
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
)

AUDIT = Output(
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
)
