"""Several sources as one input: their epochs end together, their states are their own."""

from __future__ import annotations

import time
from datetime import timedelta

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.inputs import AbortExecution, FixedPartitionedSource, StatefulSourcePartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSink, cluster_main

from flows.engine.inputs import add_inputs

EPOCH = timedelta(seconds=0.1)


class Part(StatefulSourcePartition):
    """Counts from its snapshot on; notes when it is polled and when its epochs end."""

    def __init__(self, name: str, at: int, source: Source) -> None:
        self.name, self.at, self.source = name, at, source

    def next_batch(self):
        self.source.log.append(("poll", self.name))
        if self.at == self.source.dies_at:
            raise AbortExecution
        if self.at == self.source.count:
            raise StopIteration
        self.at += 1
        time.sleep(0.001)
        return [("key", (self.name, self.at))]

    def snapshot(self):
        self.source.log.append(("epoch", self.name))
        return self.at

    def close(self):
        self.source.log.append(("close", self.name))


class Source(FixedPartitionedSource):
    """Two partitions, each of which takes its time to open."""

    def __init__(self, stem: str, log: list, count: int = 250, dies_at: int = -1) -> None:
        self.stem, self.log, self.count, self.dies_at = stem, log, count, dies_at

    def list_parts(self):
        return [f"{self.stem}0", f"{self.stem}1"]

    def build_part(self, step_id, for_part, resume_state):
        time.sleep(0.03)
        return Part(for_part, resume_state or 0, self)


def run(*sources: Source, recovery: RecoveryConfig | None = None) -> dict[str, list]:
    out: dict[str, list] = {source.stem: [] for source in sources}
    flow = Dataflow("t")
    streams = add_inputs(flow, {source.stem: source for source in sources})
    for stem, stream in streams.items():
        op.output(f"out_{stem}", stream, TestingSink(out[stem]))
    cluster_main(flow, [], 0, epoch_interval=EPOCH, recovery_config=recovery)
    return out


def test_each_source_gets_a_stream_of_its_own():
    out = run(Source("a", [], 3), Source("b", [], 2))
    assert sorted(out["a"]) == [("key", (f"a{i}", n)) for i in (0, 1) for n in (1, 2, 3)]
    assert sorted(out["b"]) == [("key", (f"b{i}", n)) for i in (0, 1) for n in (1, 2)]


def test_epochs_of_all_partitions_end_together_however_long_each_took_to_open():
    log: list[tuple[str, str]] = []
    run(Source("a", log), Source("b", log))
    names = {"a0", "a1", "b0", "b1"}
    first_end = next(i for i, (what, name) in enumerate(log) if what == "close")
    open_all = log[:first_end]
    ends = [i for i, (what, _) in enumerate(open_all) if what == "epoch"]
    assert len(ends) >= 12
    for start in range(0, len(ends) - len(names) + 1, len(names)):
        group = ends[start : start + len(names)]
        assert {open_all[i][1] for i in group} == names
        # One look at all four: each is polled once at the most before its epoch ends.
        between = open_all[group[0] : group[-1]]
        assert len([1 for what, _ in between if what == "poll"]) < len(names)


def test_a_flow_that_died_goes_on_where_each_source_was(tmp_path):
    init_db_dir(tmp_path, 1)
    log: list[tuple[str, str]] = []
    first = run(Source("a", log, 250, dies_at=150), Source("b", log, 250), recovery=_at(tmp_path))
    again = run(Source("a", log, 250), Source("b", log, 250), recovery=_at(tmp_path))
    for stem in ("a", "b"):
        seen = {item for _, item in [*first[stem], *again[stem]]}
        assert seen == {(f"{stem}{i}", n) for i in (0, 1) for n in range(1, 251)}
        assert min(n for _, (_, n) in again[stem]) > 1, "it began anew"


def _at(path) -> RecoveryConfig:
    return RecoveryConfig(path)


def test_a_source_that_cannot_be_opened_says_so():
    class Broken(Source):
        def build_part(self, step_id, for_part, resume_state):
            raise ValueError("cannot be opened")

    with pytest.raises(Exception, match="next_batch") as raised:
        run(Broken("a", []))
    cause: BaseException | None = raised.value
    while cause is not None and not isinstance(cause, ValueError):
        cause = cause.__cause__
    assert cause is not None
