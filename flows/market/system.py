"""The market system: its settings, its flows and its outputs."""

from __future__ import annotations

from flows.engine.declaration import System
from flows.market.settings import Market
from flows.market.trading_settings import Trading
from state.market.outputs import OUTPUTS

SYSTEM = System(
    name="market",
    settings={"market": Market, "trading": Trading},
    flows={
        "market": "flows.market.flow",
        "models": "flows.market.models",
        "trading": "flows.market.trading",
    },
    outputs=OUTPUTS,
    first=True,
)
