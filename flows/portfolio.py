"""The merge of all shards for portfolios and pairs as a Bytewax step under one key."""

from __future__ import annotations

import pickle

from bytewax.operators import StatefulBatchLogic

from flows.shard import Outputs
from operators.market.handover import Handover
from operators.market.pair_signals import PairSignals
from operators.market.portfolio import Portfolios
from state.metrics import MODEL_VALID, SNAPSHOT_BYTES
from state.records import OutputBatch
from state.snapshots import pack, unpack

ORIGIN = "merge"
"""The origin of outputs that combine partitions."""


class PortfolioLogic(StatefulBatchLogic[Handover, OutputBatch, bytes]):
    """Portfolios and pairs fed by the shards' handovers, in whatever order these come."""

    def __init__(
        self,
        portfolios: Portfolios,
        pairs: PairSignals,
        settings_hash: str,
        resume: bytes | None,
    ) -> None:
        self._portfolios = portfolios
        self._pairs = pairs
        self._hash = settings_hash
        self._outputs = Outputs()
        if resume is not None:
            packed = pickle.loads(resume)  # noqa: S301  # our own recovery store
            parts = unpack(packed, settings_hash)
            portfolios.restore(parts["portfolios"])
            pairs.restore(parts["pairs"])
            self._outputs = Outputs(parts["counters"])

    def on_batch(self, values: list[Handover]) -> tuple[list[OutputBatch], bool]:
        """Take the handovers; emit what has become complete."""
        for handover in values:
            records = [*self._portfolios.accept(handover), *self._pairs.accept(handover)]
            for output, time_ns, identity, key, record in records:
                self._outputs.add(output, ORIGIN, time_ns, identity, key, record)
                if output == "risk":
                    MODEL_VALID.labels(record["scope"]).set(record["valid"])
        return self._outputs.take(), StatefulBatchLogic.RETAIN

    def snapshot(self) -> bytes:
        """Return the state, versioned."""
        parts = {
            "portfolios": self._portfolios.snapshot(),
            "pairs": self._pairs.snapshot(),
            "counters": dict(self._outputs.counters),
        }
        data = pickle.dumps(pack(self._hash, parts), protocol=5)
        SNAPSHOT_BYTES.labels("portfolio").observe(len(data))
        return data
