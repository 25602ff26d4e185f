"""The merge of all shards for the portfolios as a Bytewax step under one key."""

from __future__ import annotations

import pickle

from bytewax.operators import StatefulBatchLogic

from flows.shard import Outputs
from operators.market.handover import Handover
from operators.market.portfolio import Portfolios
from state.metrics import MODEL_VALID, SNAPSHOT_BYTES
from state.records import OutputBatch
from state.snapshots import pack, unpack

ORIGIN = "merge"
"""The origin of outputs that combine partitions."""


class PortfolioLogic(StatefulBatchLogic[Handover, OutputBatch, bytes]):
    """Portfolios fed by the shards' handovers, in whatever order these come."""

    def __init__(self, portfolios: Portfolios, settings_hash: str, resume: bytes | None) -> None:
        self._portfolios = portfolios
        self._hash = settings_hash
        self._outputs = Outputs()
        if resume is not None:
            packed = pickle.loads(resume)  # noqa: S301  # our own recovery store
            parts = unpack(packed, settings_hash)
            portfolios.restore(parts["portfolios"])
            self._outputs = Outputs(parts["counters"])

    def on_batch(self, values: list[Handover]) -> tuple[list[OutputBatch], bool]:
        """Take the handovers; emit what has become complete."""
        for handover in values:
            for output, time_ns, identity, key, record in self._portfolios.accept(handover):
                self._outputs.add(output, ORIGIN, time_ns, identity, key, record)
                if output == "risk":
                    MODEL_VALID.labels(record["scope"]).set(record["valid"])
        return self._outputs.take(), StatefulBatchLogic.RETAIN

    def snapshot(self) -> bytes:
        """Return the state, versioned."""
        parts = {
            "portfolios": self._portfolios.snapshot(),
            "counters": dict(self._outputs.counters),
        }
        data = pickle.dumps(pack(self._hash, parts), protocol=5)
        SNAPSHOT_BYTES.labels("portfolio").observe(len(data))
        return data
