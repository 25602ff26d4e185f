"""Columns and rules that several outputs of market share."""

from __future__ import annotations

from state.outputs import Column, Kind

TIME = {"minimum": 1, "maximum": 1 << 62}
SYMBOL = {"minLength": 1, "maxLength": 32, "pattern": r"^[^\u0000-\u001f\u007f]+$"}
_INTERVAL = "[1-9][0-9]*(ns|us|ms|s|m|h|d)"
INTERVAL = {"pattern": f"^{_INTERVAL}$"}
BAR_ID = {"pattern": f"^.+\\|{_INTERVAL}\\|[0-9]+$"}
"""symbol|interval|start_ns."""
CORRECTED_ID = {"pattern": f"^.+\\|{_INTERVAL}\\|[0-9]+\\|[0-9]+$"}
"""That and the version."""
POSITIVE = {"exclusiveMinimum": 0}
NOT_NEGATIVE = {"minimum": 0}
AT_LEAST_1 = {"minimum": 1}
SHARE = {"exclusiveMinimum": 0, "exclusiveMaximum": 1}
PROBABILITY = {"minimum": 0, "maximum": 1}
NEVER_NULL = {"type": "number"}
"""Of a column that has taken NULL since its first migration, though no record holds it."""
SOME = {"minLength": 1}
SHA256 = {"pattern": "^[0-9a-f]{64}$"}
MESSAGE = {"pattern": "^.+/[0-9]+/[0-9]+$"}
"""topic/partition/offset."""
COORDINATES = {"pattern": "^.+/[0-9]+/[0-9]+/[0-9]+$"}
"""topic/partition/offset/sequence."""
NUMBERS = {"additionalProperties": {"type": "number"}}
TICK = {"enum": ["trade", "quote", "correction"]}
STATES = {"enum": ["ACTIVE", "REDUCING", "HALTED"]}
METHODS = {
    "enum": [
        "historical", "age-weighted", "filtered-historical", "ewma-normal", "cornish-fisher",
        "garch-normal", "monte-carlo-normal", "monte-carlo-t",
    ]
}  # fmt: skip

SCOPES = ("portfolio", "symbol")
SCOPE = Column(
    "scope",
    Kind.KEY,
    "symbol:X or portfolio:Y",
    {"pattern": "^(symbol|portfolio):."},
    parts=SCOPES,
)
PORTFOLIO = Column("scope", Kind.KEY, "portfolio:Y", {"pattern": "^portfolio:."}, parts=SCOPES)
