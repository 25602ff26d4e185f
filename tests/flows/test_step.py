"""The step around a logic: counters, snapshots and pages, through real restarts of Bytewax."""

from __future__ import annotations

import pickle
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
import pytest
from bytewax._bytewax import cluster_main
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir

from flows.engine.recovery import check_store, described, last_snapshots
from flows.engine.step import Page, Running, Step, Stepped, Touched, add_step, open_snapshot
from operators.logic import Logic
from operators.outputs import Outbox
from operators.pages import Pages
from state.errors import DamagedState, SnapshotRefused
from state.outputs import Output
from state.records import Coordinates, DeadLetter, OutputBatch
from state.shards import page_name, shard_names, worker_of
from state.snapshots import pack

COUNTS = Output("visits", "counts", "ts_ns", (), key=("patient",))
PAGES = 64


class Visits(Logic):
    """Counts visits of patients; -1 takes a patient away, '' cannot be used."""

    def __init__(self) -> None:
        self.entities: Pages[Any] = Pages(PAGES, list, list)
        self.seen = 0

    def process(self, item: list[tuple[str, int]], outbox: Outbox) -> Iterable[Any]:
        dead = []
        for patient, by in item:
            self.seen += 1
            if not patient:
                dead.append(DeadLetter(Coordinates("t", 0, self.seen), 0, None, b"", "No", "no"))
            elif by < 0:
                self.entities.drop(patient)
                outbox.retract("counts", 0, self.seen, f"{patient}/{self.seen}", patient)
            else:
                count = [(self.entities.get(patient) or [0])[0] + by]
                self.entities.put(patient, count)
                record = {"id": f"{patient}/{self.seen}", "ts_ns": self.seen, "n": count[0]}
                outbox.emit("counts", 0, self.seen, str(record["id"]), patient, record)
        return [*dead, ("handed", len(item))]

    def finish(self, outbox: Outbox) -> Iterable[Any]:
        return ["the end"]

    def describe(self, key: str) -> dict[str, Any]:
        found = self.entities.get(key)
        return {} if found is None else {"n": found[0]}

    def snapshot(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def restore(self, parts: dict[str, Any]) -> None:
        self.seen = parts["seen"]


STEP = Step(Visits, "hash", (COUNTS,))


class Numbered(FixedPartitionedSource[Any, int]):
    """Shards of blocks; ``until`` says at which block of each shard the process is to die."""

    def __init__(self, blocks: dict[str, list[Any]], until: int | None) -> None:
        self.blocks = blocks
        self.until = until

    def list_parts(self) -> list[str]:
        return list(self.blocks)

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> Any:
        return _Part(for_part, self.blocks[for_part], resume_state or 0, self.until)


class Died(Exception):
    pass


class _Part(StatefulSourcePartition[Any, int]):
    def __init__(self, name: str, blocks: list[Any], at: int, until: int | None) -> None:
        self.name, self.blocks, self.at, self.until = name, blocks, at, until

    def next_batch(self) -> list[Any]:
        if self.at == len(self.blocks):
            raise StopIteration
        if self.at == self.until:
            raise Died
        self.at += 1
        return [(self.name, self.blocks[self.at - 1])]

    def snapshot(self) -> int:
        return self.at


class Kept(DynamicSink[Any]):
    """Keeps what comes, over restarts."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Any:
        kept = self

        class Part(StatelessSinkPartition[Any]):
            def write_batch(self, items: list[Any]) -> None:
                kept.items.extend(items)

        return Part()


def blocks_of(shards: int, count: int) -> dict[str, list[Any]]:
    """Return blocks of visits for each shard; some patients leave and come back."""
    return {
        name: [
            [
                (f"p{(block * 7 + i * 13 + s) % 90}", -1 if (block + i) % 11 == 0 else 1)
                for i in range(5)
            ]
            for block in range(count)
        ]
        for s, name in enumerate(shard_names(shards))
    }


def expected(blocks: list[Any]) -> dict[str, int]:
    """Return the visits of each patient of one shard, by definition."""
    found: Counter[str] = Counter()
    for block in blocks:
        for patient, by in block:
            if by < 0:
                found.pop(patient, None)
            else:
                found[patient] += by
    return dict(found)


def run(
    blocks: dict[str, list[Any]],
    store: Path | None,
    until: int | None = None,
    workers: int = 1,
    step: Step = STEP,
) -> dict[str, Kept]:
    flow = Dataflow("visits")
    items = op.input("in", flow, Numbered(blocks, until))
    stepped: Stepped = add_step("work", items, step)
    sinks = {name: Kept() for name in ("records", "dead", "handed")}
    for name, sink in sinks.items():
        op.output(name, getattr(stepped, name), sink)
    options: dict[str, Any] = {"epoch_interval": timedelta(0)}
    if store is not None:
        options["recovery_config"] = RecoveryConfig(store)
    cluster_main(flow, [], 0, worker_count_per_proc=workers, **options)
    return sinks


@pytest.fixture
def store(tmp_path: Path) -> Path:
    made = tmp_path / "recovery"
    made.mkdir()
    init_db_dir(made, 1)
    return made


def test_records_dead_letters_and_what_is_handed_on_go_their_own_ways() -> None:
    (name,) = shard_names(1)
    found = run({name: [[("a", 1), ("", 1)], [("a", -1)]]}, None)
    batches: list[OutputBatch] = [item for _, item in found["records"].items]
    assert [(b.first, b.ids, b.keys, sorted(b.retracted)) for b in batches] == [
        (1, ["a/1"], ["a"], []),
        (2, ["a/3"], ["a"], [0]),
    ]
    assert batches[1].values == [b'{"id":"a/3","key":"a","retracted":true,"ts_ns":3}']
    assert [item.coordinates.offset for _, item in found["dead"].items] == [2]
    assert [item for _, item in found["handed"].items] == [("handed", 2), ("handed", 1)]


def test_the_end_is_worked_on_in_a_recording_alone() -> None:
    (name,) = shard_names(1)
    live = run({name: [[("a", 1)]]}, None)
    ended = run({name: [[("a", 1)]]}, None, step=Step(Visits, "hash", (COUNTS,), ends=True))
    assert [item for _, item in live["handed"].items] == [("handed", 1)]
    assert [item for _, item in ended["handed"].items] == [("handed", 1), "the end"]


@pytest.mark.parametrize(("workers", "after"), [(1, 1), (2, 2), (1, 2), (2, 1)])
def test_a_death_anywhere_loses_no_page_and_counts_on(
    store: Path, workers: int, after: int
) -> None:
    blocks = blocks_of(4, 30)
    whole = run(blocks, None)
    seen: dict[tuple[str, int], str] = {}
    for until in (3, 9, 10, 22):
        with pytest.raises(BaseException):  # noqa: B017, PT011  # a panic of Bytewax's
            run(blocks, store, until, workers)
    last = run(blocks, store, workers=after)
    for name, batch in last["records"].items:
        for row in range(len(batch)):
            seen[name, batch.first + row] = batch.ids[row]
    wanted = {
        (name, batch.first + row): batch.ids[row]
        for name, batch in whole["records"].items
        for row in range(len(batch))
    }
    assert seen
    assert seen.items() <= wanted.items()
    assert max(n for _, n in seen) == max(n for _, n in wanted)
    for shard, name in enumerate(shard_names(4)):
        for patient, count in expected(blocks[name]).items():
            states = {found["shard"]: found["state"] for found in asked(store, patient)}
            assert states[name] == {"n": count}, (shard, patient)


def asked(store: Path, patient: str) -> list[dict[str, Any]]:
    return list(described(store, {"visits.work": STEP}, patient))


def test_only_pages_that_were_touched_are_written(store: Path) -> None:
    (name,) = shard_names(1)
    everybody = [(f"p{n}", 1) for n in range(3000)]
    few = [[(f"p{n % 5}", 1)] for n in range(20)]
    with pytest.raises(BaseException):  # noqa: B017, PT011  # Bytewax's panic, of whatever kind
        # At the end of an input Bytewax wakes all keys, so it has to die instead.
        run({name: [everybody, *few]}, store, until=20)
    pages = Visits().entities
    epochs = {
        key: epoch for step, key, epoch, _ in last_snapshots(store) if step == "visits.work_pages"
    }
    assert len(epochs) == PAGES
    touched = {page_name(name, pages.page_of(f"p{n}")) for n in range(5)}
    first = min(epochs.values())
    assert {key for key, epoch in epochs.items() if epoch > first} == touched


def test_what_comes_before_the_pages_waits_for_them() -> None:
    shelves: dict[str, Any] = {}
    before = Running("work", STEP, shelves, None)
    before.on_batch([("s", [("a", 2), ("b", 1)])])
    work = before.snapshot()
    pages = {}
    for page in before._logic.entities.filled():  # type: ignore[attr-defined]
        part = Page("work", STEP, shelves, None)
        part.on_batch([Touched("s", page)])
        pages[page] = part.snapshot()
    again: dict[str, Any] = {}
    after = Running("work", STEP, again, work)
    assert after.on_batch([("s", [("a", 1)])]) == ([], False)
    assert after.notify_at() is not None
    # An epoch may end before the pages have come: what waits is kept.
    third: dict[str, Any] = {}
    final = Running("work", STEP, third, after.snapshot())
    for data in pages.values():
        Page("work", STEP, third, data)
    items, _ = final.on_notify()
    (batch,) = [item for item in items if isinstance(item, OutputBatch)]
    assert batch.values == [b'{"id":"a/3","n":3,"ts_ns":3}']
    assert final.notify_at() is None


def test_an_epoch_that_ends_between_two_pages_loses_neither() -> None:
    shelves: dict[str, Any] = {}
    before = Running("work", STEP, shelves, None)
    before.on_batch([("s", [("a", 2), ("b", 1)])])
    pages = []
    for page in sorted(before._logic.entities.filled()):  # type: ignore[attr-defined]
        part = Page("work", STEP, shelves, None)
        part.on_batch([Touched("s", page)])
        pages.append(part.snapshot())
    assert len(pages) == 2
    again: dict[str, Any] = {}
    half = Running("work", STEP, again, before.snapshot())
    Page("work", STEP, again, pages[0])
    assert half.on_batch([("s", [("a", 1)])]) == ([], False)
    third: dict[str, Any] = {}
    final = Running("work", STEP, third, half.snapshot())
    for data in pages:
        Page("work", STEP, third, data)
    items, _ = final.on_notify()
    (batch,) = [item for item in items if isinstance(item, OutputBatch)]
    assert batch.values == [b'{"id":"a/3","n":3,"ts_ns":3}']
    assert final._logic.describe("b") == {"n": 1}


def test_a_start_in_which_nothing_comes_loses_no_page(store: Path) -> None:
    (name,) = shard_names(1)
    for _ in range(3):  # at its end Bytewax has all pages written, whether they were used or not
        run({name: [[("a", 2), ("b", 1)]]}, store)
        assert [found["state"] for found in asked(store, "a")] == [{"n": 2}]


def test_a_page_is_on_the_worker_of_its_shard() -> None:
    for name in shard_names(8):
        for page in range(5):
            for workers in range(1, 9):
                assert worker_of(page_name(name, page), workers) == worker_of(name, workers)


def test_a_snapshot_of_other_settings_is_refused() -> None:
    running = Running("work", STEP, {}, None)
    running.on_batch([("s", [("a", 1)])])
    with pytest.raises(SnapshotRefused):
        open_snapshot(running.snapshot(), Step(Visits, "other", (COUNTS,)))


def flip(store: Path, at: Callable[[bytes], int]) -> None:
    """Change a bit of each snapshot of the step."""
    with closing(sqlite3.connect(store / "part-0.sqlite3")) as connection, connection:
        rows = connection.execute(
            "SELECT rowid, ser_change FROM snaps WHERE step_id = 'visits.work'"
        ).fetchall()
        assert rows
        for row, data in rows:
            place = at(data)
            flipped = data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]
            connection.execute("UPDATE snaps SET ser_change = ? WHERE rowid = ?", (flipped, row))


def cut(file: Path, size: int) -> None:
    with file.open("r+b") as opened:
        opened.truncate(size)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "gone": (lambda store: (store / "part-0.sqlite3").unlink(), r"part-0\.sqlite3 is missing"),
    "empty": (lambda store: cut(store / "part-0.sqlite3", 0), "tables are missing"),
    "cut": (lambda store: cut(store / "part-0.sqlite3", 8192), "part-0"),
    "no database": (
        lambda store: (store / "part-0.sqlite3").write_bytes(b"x" * 9000),
        "not a database",
    ),
    "a value": (
        lambda store: flip(store, lambda data: len(data) // 2),
        "visits.work: its checksum",
    ),
    "a pickle": (lambda store: flip(store, lambda data: 0), "the snapshot .* of visits.work"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_of_the_store_is_named_before_the_flow_goes_on(store: Path, kind: str) -> None:
    (name,) = shard_names(1)
    run({name: [[("a", 1)], [("b", 2)]]}, store)
    check_store(store)
    for left in store.glob("*-wal"):  # what a log still holds would mend what is cut
        left.unlink()
    damage, said = DAMAGE[kind]
    damage(store)
    looks: list[Callable[[Path], object]] = [check_store]
    if kind != "gone":  # to a look at the state that means that the flow has not run yet
        looks.append(lambda store: list(described(store, {"visits.work": STEP}, "a")))
    for look in looks:
        with pytest.raises(DamagedState) as raised:
            look(store)
        assert str(store) in str(raised.value)
        assert "restore it from a copy, move" in str(raised.value)
    with pytest.raises(DamagedState, match=said):
        check_store(store)


def test_a_snapshot_of_before_checksums_is_read() -> None:
    content = pickle.dumps(pack(STEP.settings_hash, {"a": 1}))
    assert open_snapshot(content, STEP) == {"a": 1}
