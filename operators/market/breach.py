"""Signals when a trade's move since the last bar exceeds the last forecast."""

from __future__ import annotations

from typing import Any

import numpy as np

from operators.market.kernels import breach as kernel
from operators.market.operator import PerSymbol
from operators.market.records import METHOD
from operators.market.var import Level
from operators.market.work import Forecasts, Work
from operators.outputs import Outbox

NOT_VALID = -1.0
"""The threshold of a forecast made from too few observations."""

_NONE, _NO_REAL = np.empty(0, np.int64), np.empty(0)
_NO_SLOT = np.empty(0, np.int32)
_NO_FLAG = np.empty(0, np.bool_)
NO_FORECASTS = Forecasts(
    _NONE, _NO_SLOT, _NO_SLOT, _NONE, _NO_REAL, _NO_REAL, _NO_FLAG, _NO_REAL, _NONE
)

KINDS = {kernel.DOWN: "breach_down", kernel.UP: "breach_up"}


def breach_record(
    identity: str, ts_ns: int, scope: str, kind: str, value: float, threshold: float
) -> dict[str, Any]:
    """Return one ``signals`` record; ``value`` and ``threshold`` are signed simple returns."""
    return {
        "id": identity,
        "ts_ns": ts_ns,
        "scope": scope,
        "kind": kind,
        "method": METHOD,
        "value": value,
        "threshold": threshold,
    }


class Breaches(PerSymbol):
    """Emits ``signals``: a trade whose simple return from the last bar's close exceeds the VaR.

    Each side fires once between two forecasts of a symbol.
    """

    name = "breach"

    def __init__(self, confidence: float, min_observations: int) -> None:
        super().__init__(reference=np.float64, threshold=np.float64, fired=np.uint8)
        self._factor = Level(confidence, 1).var_factor
        self._min_observations = min_observations

    def process(self, work: Work, outbox: Outbox) -> None:
        """Judge the block's trades against the forecasts in force at each."""
        block, forecasts = work.block, work.forecasts or NO_FORECASTS
        valid = forecasts.observations >= self._min_observations
        limit = np.where(valid, self._factor * forecasts.sigma, NOT_VALID)
        rows = len(block)
        now = work.counts & ~work.late  # what came late may count in a bar, but is not of now
        out = at, side, move, threshold = (
            np.empty(rows, np.int64), np.empty(rows, np.uint8), np.empty(rows), np.empty(rows)
        )  # fmt: skip
        found = kernel.breaches(
            (work.slot, now, block.price),
            (forecasts.at_row, forecasts.slot, forecasts.price, limit),
            self.room_for(len(work.names)),
            out,
        )
        for i in range(found):
            row = int(at[i])
            identity, ts_ns = str(block.coordinates(row)), int(block.ts_ns[row])
            record = breach_record(
                identity, ts_ns, f"symbol:{work.names[work.slot[row]]}", KINDS[int(side[i])],
                float(move[i]), float(threshold[i]),
            )  # fmt: skip
            outbox.emit("signals", int(block.partition[row]), ts_ns, identity, "", record)
