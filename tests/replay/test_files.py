import base64
import hashlib
from dataclasses import replace

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay import files as module
from replay.files import OutputFiles
from state.errors import Misuse
from state.market.outputs import MARKET
from state.outputs import Output, to_json
from state.records import Coordinates, DeadLetter, OutputBatch

KEYED = Output("market", "bars", "start_ns", (), key=("symbol", "interval"))
PLAIN = Output("market", "signals", "ts_ns", ())
LATE = Output("market", "late", "ts_ns", (), by_coordinates=True)


def batch(output, rows, origin="0", first=1):
    """``rows`` are (time, id, key, value)."""
    times, ids, keys, values = (list(column) for column in zip(*rows, strict=True))
    return OutputBatch(output, origin, first, times, ids, keys, values)


def lines(path):
    return path.read_bytes().splitlines()


def make(directory, *outputs, max_dead=1000) -> OutputFiles:
    return OutputFiles(directory, outputs, max_dead)


def test_records_are_in_the_order_of_time_then_id(tmp_path):
    files = make(tmp_path, PLAIN)
    files.add(batch("signals", [(2, "a", "", b"3"), (1, "b", "", b"2")]))
    files.add(batch("signals", [(1, "a", "", b"1"), (10, "a", "", b"4")], origin="1"))
    files.write()
    assert lines(tmp_path / "signals.jsonl") == [b"1", b"2", b"3", b"4"]


def test_a_retracted_key_is_in_the_file_and_not_in_the_table(tmp_path):
    files = make(tmp_path, KEYED)
    rows = [(1, "a/1", "a", b"a1"), (2, "a/2", "a", b"gone"), (3, "b/1", "b", b"b1")]
    files.add(replace(batch("bars", rows), retracted=frozenset({1})))
    files.write()
    assert lines(tmp_path / "tables" / "bars.jsonl") == [b"b1"]
    assert lines(tmp_path / "bars.jsonl") == [b"a1", b"gone", b"b1"]


def test_late_records_are_in_the_order_of_their_coordinates(tmp_path):
    files = make(tmp_path, LATE)
    ids = ["t/b/10/2/0", "t/b/9/10/0", "t/b/9/2/1", "t/b/9/2/0", "a/9/2/0"]
    files.add(batch("late", [(5, i, "", i.encode()) for i in ids]))
    files.write()
    expected = [b"a/9/2/0", b"t/b/9/2/0", b"t/b/9/2/1", b"t/b/9/10/0", b"t/b/10/2/0"]
    assert lines(tmp_path / "late.jsonl") == expected


def test_a_table_holds_the_last_value_of_each_key_by_key(tmp_path):
    files = make(tmp_path, KEYED)
    files.add(batch("bars", [(5, "i5", "b", b"old"), (6, "i6", "a", b"only")]))
    # The last one emitted counts, even where its event time is smaller.
    files.add(batch("bars", [(4, "i4", "b", b"new")], first=3))
    files.write()
    assert lines(tmp_path / "tables" / "bars.jsonl") == [b"only", b"new"]
    assert lines(tmp_path / "bars.jsonl") == [b"new", b"old", b"only"]


def test_every_output_gets_its_files_even_when_empty(tmp_path):
    written = OutputFiles(tmp_path, MARKET, 0).write()
    found = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.jsonl")}
    names = {f"{output.name}.jsonl" for output in MARKET} | {"dead.jsonl"}
    names |= {f"tables/{output.name}.jsonl" for output in MARKET if output.keyed}
    assert found == names == {file.name for file in written}
    assert {file.lines for file in written} == {0}


def test_the_digest_is_of_the_file(tmp_path):
    files = make(tmp_path, PLAIN)
    files.add(batch("signals", [(1, "a", "", b"x"), (2, "a", "", b"y")]))
    (file,) = [f for f in files.write() if f.name == "signals.jsonl"]
    content = (tmp_path / "signals.jsonl").read_bytes()
    assert content == b"x\ny\n"
    assert (file.lines, file.sha256) == (2, hashlib.sha256(content).hexdigest())


def test_a_dead_letter_says_where_why_and_what(tmp_path):
    files = make(tmp_path, max_dead=3)
    for offset, key, content in [(2, None, b"long"), (1, b"\xff", b"\x00\x01")]:
        where = Coordinates("t", 1, offset, 4)
        files.add_dead(DeadLetter(where, 5_000_000, key, content, "Malformed", "no JSON"))
    files.write()
    first, second = map(orjson.loads, lines(tmp_path / "dead.jsonl"))
    common = {
        "error": "Malformed",
        "partition": 1,
        "reason": "no JSON",
        "sequence": 4,
        "timestamp_ns": 5_000_000,
        "topic": "t",
    }
    value = base64.b64encode(b"\x00\x01").decode()
    assert first == common | {"offset": 1, "key": "/w==", "value": value}
    digest = hashlib.sha256(b"long").hexdigest()
    assert second == common | {"offset": 2, "key": None, "length": 4, "sha256": digest}
    assert lines(tmp_path / "dead.jsonl")[0] == to_json(first)


row = st.tuples(
    st.integers(0, 20), st.text("ab", max_size=2), st.sampled_from("xyz"), st.binary(min_size=1)
)


@settings(max_examples=30)
@given(rows=st.lists(row, max_size=30), cut=st.integers(1, 7))
def test_spilling_to_files_changes_nothing(tmp_path_factory, rows, cut):
    spill, chunk = module.SPILL_BYTES, module._CHUNK
    digests = []
    try:
        for module.SPILL_BYTES, module._CHUNK in [(spill, chunk), (500, 2)]:
            files = make(tmp_path_factory.mktemp("d"), KEYED)
            for start in range(0, len(rows), cut):
                files.add(batch("bars", rows[start : start + cut], first=start + 1))
            digests.append([file.sha256 for file in files.write()])
    finally:
        module.SPILL_BYTES, module._CHUNK = spill, chunk
    assert digests[0] == digests[1]


def test_memory_is_bounded_by_spilling(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SPILL_BYTES", 10_000)
    files = make(tmp_path, PLAIN)
    for n in range(200):
        files.add(batch("signals", [(n, "a", "", b"x" * 100)], first=n + 1))
        assert sum(spool.bytes for spool in files._spools.values()) <= 10_000
    files.write()
    assert len(lines(tmp_path / "signals.jsonl")) == 200


def test_an_output_of_a_users_flow_need_not_be_announced(tmp_path):
    files = make(tmp_path)
    files.add(batch("mine", [(1, "a", "k", b"1")]))
    assert [f.name for f in files.write()] == ["dead.jsonl", "mine.jsonl", "tables/mine.jsonl"]


def test_a_directory_that_cannot_be_is_misuse(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Misuse, match="cannot write"):
        make(tmp_path / "file", PLAIN)
