import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay import writer as module
from replay.message import Message
from replay.recording import Recording
from replay.rows import Rows, to_block
from replay.writer import RecordingWriter, rows_content
from state.errors import Misuse
from tests.replay.recordings import message, read, write

headers = st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=5)), max_size=2)
rows = st.tuples(
    st.integers(1, 3),
    st.integers(-(2**62), 2**62),
    st.none() | st.binary(max_size=4),
    st.none() | st.binary(max_size=20),
    headers,
)


def messages_of(drawn, partition):
    offset, messages = -1, []
    for step, timestamp_ns, key, value, pairs in drawn:
        offset += step
        messages.append(Message("t", partition, offset, timestamp_ns, key, value, pairs))
    return messages


def plain(messages):
    return [m._replace(headers=list(m.headers)) for m in messages]


@settings(max_examples=50)
@given(drawn=st.lists(st.lists(rows, max_size=8), min_size=1, max_size=3))
def test_what_is_written_is_read(tmp_path_factory, drawn):
    path = tmp_path_factory.mktemp("r") / "a.parquet"
    messages = [m for p, part in enumerate(drawn) for m in messages_of(part, p)]
    write(path, {"t": len(drawn)}, messages)
    assert plain(read(path)) == plain(messages)


@settings(max_examples=50)
@given(
    drawn=st.lists(st.lists(rows, min_size=1, max_size=8), min_size=1, max_size=3),
    cut=st.integers(1, 4),
)
def test_a_block_holds_the_rows_as_kafka_hands_them_out(tmp_path_factory, drawn, cut):
    path = tmp_path_factory.mktemp("r") / "a.parquet"
    messages = [m for p, part in enumerate(drawn) for m in messages_of(part, p)]
    recording = Recording([write(path, {"t": 3}, messages)])
    reader = recording.reader()
    parts, expected, position = [], [], {}
    for (_, partition), (group,) in sorted(recording.groups.items()):
        whole = reader.read(partition, group)
        start = min(cut - 1, len(whole) - 1)
        parts.append(Rows(partition, whole.columns, start, min(start + cut, len(whole))))
        expected += [m for m in messages if m.partition == partition][start : start + cut]
        position[partition] = 0
    block = to_block("t", 3, parts, position)
    assert len(block) == len(expected)
    for row, wanted in enumerate(expected):
        assert block.coordinates(row)[:3] == ("t", wanted.partition, wanted.offset)
        assert block.timestamp_ns[row] == wanted.timestamp_ns // 10**6 * 10**6
        assert block.value(row) == (wanted.value or b"")
        assert block.keyed[row] == (wanted.key is not None)
        assert block.keys[row] == wanted.key
        assert block.headers.get(row, []) == list(wanted.headers)
    assert block.partition.dtype == np.int32
    assert block.starts.dtype == np.int64
    assert block.starts[0] == 0
    assert block.starts[-1] == len(block.data)


def test_an_origin_header_gives_a_row_its_first_offset(tmp_path):
    published = message(5, headers=[("headrace-origin", b"t/0/1")])
    foreign = message(6, headers=[("headrace-origin", b"other/0/2")])
    recording = Recording([write(tmp_path / "a", {"t": 1}, [published, foreign])])
    whole = recording.reader().read(0, recording.groups["t", 0][0])
    block = to_block("t", 1, [whole], {0: 3})
    assert block.offset.tolist() == [1, 6]
    assert block.ranges == {0: (3, 7)}


def test_a_row_group_holds_one_topic_partition_in_offset_order(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "GROUP_ROWS", 10)
    path = tmp_path / "a.parquet"
    with RecordingWriter(path, {"t": 2, "u": 1}) as writer:
        for first in range(0, 40, 8):
            for partition in (0, 1):
                batch = [message(n, partition) for n in range(first, first + 8)]
                writer.write("t", partition, rows_content(batch))
            writer.write("u", 0, rows_content([message(first)]))
    file = pq.ParquetFile(path)
    for index in range(file.num_row_groups):
        group = file.read_row_group(index)
        assert group.num_rows <= 10
        assert len(set(group.column("topic").to_pylist())) == 1
        assert len(set(group.column("partition").to_pylist())) == 1
        offsets = group.column("offset").to_pylist()
        assert offsets == sorted(offsets)
    assert len(read(path)) == 85


def test_the_columns_are_those_of_the_design(tmp_path):
    schema = pq.read_schema(write(tmp_path / "a", {"t": 1}, [message(0)]))
    assert [(f.name, str(f.type)) for f in schema] == [
        ("topic", "string"),
        ("partition", "int32"),
        ("offset", "int64"),
        ("timestamp_ns", "int64"),
        ("key", "binary"),
        ("value", "binary"),
        ("headers", "list<element: struct<name: string, value: binary>>"),
    ]
    assert schema.metadata[b"headrace.recording"] == b"1"


def test_a_writer_bounds_what_it_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BUFFERED_BYTES", 1000)
    with RecordingWriter(tmp_path / "a", {"t": 50}) as writer:
        for partition in range(50):
            writer.write("t", partition, rows_content([message(0, partition, value=b"x" * 200)]))
            assert sum(writer._bytes.values()) <= 1000


def test_large_values_end_a_row_group(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "GROUP_BYTES", 1000)
    path = write(tmp_path / "a", {"t": 1}, [])
    with RecordingWriter(path, {"t": 1}) as writer:
        for offset in range(4):
            writer.write("t", 0, rows_content([message(offset, value=b"x" * 1500)]))
    assert pq.ParquetFile(path).num_row_groups == 4


def test_an_empty_partition_counts(tmp_path):
    recording = Recording([write(tmp_path / "a", {"t": 7}, [message(0)])])
    assert recording.partitions == {"t": 7}


def test_files_are_read_together_in_offset_order(tmp_path):
    late = write(tmp_path / "late", {"t": 1}, [message(5), message(6)])
    early = write(tmp_path / "early", {"t": 1}, [message(1), message(2)])
    assert [m.offset for m in Recording([late, early]).messages()] == [1, 2, 5, 6]


def test_overlapping_coordinates_are_misuse(tmp_path):
    one = write(tmp_path / "one", {"t": 2}, [message(1), message(4)])
    two = write(tmp_path / "two", {"t": 2}, [message(4), message(5)])
    with pytest.raises(Misuse, match=r"one.*two.*t\[0\] from offset 4"):
        Recording([one, two])


def test_the_same_offsets_of_other_partitions_do_not_overlap(tmp_path):
    one = write(tmp_path / "one", {"t": 2}, [message(1, 0)])
    two = write(tmp_path / "two", {"t": 2}, [message(1, 1)])
    assert len(Recording([one, two])) == 2


def test_different_partition_counts_are_misuse(tmp_path):
    one = write(tmp_path / "one", {"t": 2}, [message(1)])
    two = write(tmp_path / "two", {"t": 3}, [message(2)])
    with pytest.raises(Misuse, match="3 partitions of t"):
        Recording([one, two])


def test_what_is_no_recording_is_misuse(tmp_path):
    (tmp_path / "text").write_text("hello")
    foreign = tmp_path / "foreign.parquet"
    pq.write_table(
        pq.read_table(write(tmp_path / "a", {"t": 1}, [message(0)])).select([0]), foreign
    )
    pq.write_table(pq.read_table(foreign).replace_schema_metadata(None), foreign)
    for path in (tmp_path / "text", foreign, tmp_path / "missing"):
        with pytest.raises(Misuse, match=path.name):
            Recording([path])


def test_a_later_format_is_misuse(tmp_path):
    path = write(tmp_path / "a", {"t": 1}, [message(0)])
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({"headrace.recording": "3"}), path)
    with pytest.raises(Misuse, match="format 3"):
        Recording([path])


def test_a_recording_that_was_not_finished_does_not_appear(tmp_path):
    path = tmp_path / "a.parquet"
    with pytest.raises(KeyError), RecordingWriter(path, {"t": 1}) as writer:
        writer.write("u", 0, rows_content([message(0)]))
    assert list(tmp_path.iterdir()) == []
