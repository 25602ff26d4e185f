"""The outputs of the market flow, in the order of the documents, and those of trading."""

from __future__ import annotations

from state.market.daily_outputs import AUDIT, BACKTEST, PNL, REQUESTS, STRESS, WEIGHTS
from state.market.risk_outputs import RISK, SIGNALS
from state.market.tick_outputs import DUPLICATES, GAPS, LATE
from state.market.trading_outputs import TRADING
from state.market.window_outputs import BANDS, BARS, CORRECTED_BARS, FEATURES, NBBO

__all__ = ["MARKET", "OUTPUTS", "TRADING"]

MARKET = (
    BARS,
    NBBO,
    RISK,
    SIGNALS,
    FEATURES,
    BANDS,
    PNL,
    BACKTEST,
    STRESS,
    WEIGHTS,
    REQUESTS,
    AUDIT,
    GAPS,
    LATE,
    DUPLICATES,
    CORRECTED_BARS,
)
OUTPUTS = (*MARKET, *TRADING)
"""Every output of the system."""
