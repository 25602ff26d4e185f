"""The side output of records that came too late for anything else."""

from __future__ import annotations

import numpy as np

from operators.market.operator import Stateless
from operators.market.records import TYPES
from operators.market.work import Work
from operators.outputs import Outbox
from state.market.tick_outputs import BEHIND, TOO_OLD, UNKNOWN_TRADE, WINDOW_CLOSED
from state.market.ticks import CORRECTION, QUOTE
from state.metrics import LATE


class Late(Stateless):
    """Emits ``late``: rows behind the watermark, too old to know, or retried too late.

    So are corrections of trades that are not known (any more).
    """

    name = "late"

    def process(self, work: Work, outbox: Outbox) -> None:
        """Emit the late rows of a block; runs after every operator that could take them in."""
        block = work.block
        if not work.aside and not block.corrections:
            return
        missed = work.keep & (block.retried | work.late) & ~work.placed
        if missed.any():
            # A trade that does not count misses nothing; a correction has another rule.
            missed &= (block.kind == QUOTE) | work.counts
        missed |= work.keep & (block.kind == CORRECTION) & ~work.placed
        refused = (work.late & ~work.keep) | work.too_old
        late = (refused & ~work.duplicate & (work.slot >= 0)) | missed
        rows = np.flatnonzero(late).tolist()
        for row in rows:
            _emit(work, row, _reason(work, row), outbox)
        if rows:
            LATE.labels(block.topic).inc(len(rows))


def _reason(work: Work, row: int) -> str:
    if work.keep[row] and work.block.kind[row] == CORRECTION:
        return UNKNOWN_TRADE
    if work.keep[row]:
        # A book of event time is past a quote as soon as the watermark is, whatever window is open.
        return BEHIND if work.block.kind[row] == QUOTE else WINDOW_CLOSED
    return BEHIND if work.late[row] else TOO_OLD


def _emit(work: Work, row: int, reason: str, outbox: Outbox) -> None:
    record = work.listed(row) | {
        "venue": work.block.venues[work.block.venue[row]],
        "type": TYPES[work.block.kind[row]],
        "watermark_ns": int(work.watermark[row]),
        "reason": reason,
    }
    outbox.emit("late", record["partition"], record["ts_ns"], record["id"], "", record)
