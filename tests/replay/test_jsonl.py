import gzip

import pytest

from flows.__main__ import main
from replay.heartbeats import closing_ns
from replay.jsonl import Fields, import_jsonl
from replay.partitioner import partition_of
from state.errors import Misuse
from tests.replay.recordings import read

LINES = [
    b'{"id": "a", "at": 1.5, "x": 1}',
    b'{"id": "b", "at": 1, "x":  2}',
    b'{"id": 7, "at": 3}',
]


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "in.jsonl"
    file.write_bytes(b"\n".join([LINES[0], b"", *LINES[1:]]))
    return file


def test_a_line_becomes_a_message_with_its_bytes_unchanged(path, tmp_path):
    out = tmp_path / "out"
    assert import_jsonl([path], out, "t", Fields("id", "at", 10**9), 1) == (3, 0)
    *messages, beat = read(out)
    assert [(m.offset, m.timestamp_ns, m.key, m.value) for m in messages] == [
        (0, 1_500_000_000, b"a", LINES[0]),
        (1, 1_000_000_000, b"b", LINES[1]),
        (2, 3_000_000_000, b"7", LINES[2]),
    ]
    assert (beat.offset, beat.value, beat.timestamp_ns) == (3, b"", closing_ns(3_000_000_000))
    assert beat.headers == [("headrace-heartbeat", beat.timestamp_ns.to_bytes(8, "big"))]


def test_keys_go_to_kafkas_partitions_and_each_ends_with_a_heartbeat(path, tmp_path):
    out = tmp_path / "out"
    assert import_jsonl([path], out, "t", Fields("id", "at", 10**9), 3) == (3, 0)
    found = read(out)
    for message in found:
        assert message.key is None or message.partition == partition_of(message.key, 3)
    assert [m.partition for m in found if not m.value] == [0, 1, 2]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"{", "no JSON"),
        (b"[1]", "not an object"),
        (b'{"at": 1}', "no field 'id'"),
        (b'{"id": "a"}', "no field 'at'"),
        (b'{"id": "a", "at": "noon"}', "must be a number"),
        (b'{"id": "a", "at": true}', "must be a number"),
        (b'{"id": "a", "at": -1}', "timestamp-unit"),
        (b'{"id": "a", "at": 1e18}', "timestamp-unit"),
        (b'{"id": "a", "at": 9223372036.854775807}', "from 1970 to 2116"),
        (b'{"id": "a", "at": 9223372036854775807}', "from 1970 to 2116"),
        (b'{"id": [], "at": 1}', "must be text or a number"),
        (b'{"id": 1e400, "at": 1}', "must be text or a number"),
        (b'{"id": "a", "at": 1e400}', "from 1970 to 2116"),
    ],
)
def test_a_line_that_cannot_be_used_is_misuse_with_its_place(tmp_path, line, fault):
    path = tmp_path / "in.jsonl"
    path.write_bytes(LINES[0] + b"\n" + line + b"\n")
    with pytest.raises(Misuse, match=rf"in\.jsonl:2.*{fault}"):
        import_jsonl([path], tmp_path / "out", "t", Fields("id", "at", 10**9), 1)
    assert not (tmp_path / "out").exists()


def test_the_command_imports(path, tmp_path):
    out = tmp_path / "out"
    options = ["--topic", "t", "--key", "id", "--timestamp", "at", "--timestamp-unit", "ms"]
    command = ["import", "jsonl", str(path), "--out", str(out), "--partitions", "2"]
    assert main([*command, *options]) == 0
    assert {m.timestamp_ns for m in read(out) if m.value} == {1_500_000, 1_000_000, 3_000_000}
    with pytest.raises(SystemExit):
        main(command)


def test_times_are_what_their_digits_say(tmp_path):
    path = tmp_path / "in.jsonl"
    texts = ["1381239000.35", "1381239000.001", "1.3812390000000000015e9", "1e-9", "0.0", "7"]
    # Fields that nobody reads must not stop who reads the line for its digits.
    odd = (
        f'"x": [0.1, 1e999999999, 1e-99999999999999999999, {"9" * 5000}, {"[" * 2000 + "]" * 2000}]'
    )
    path.write_text("".join(f'{{"id": "a", "at": {text}, {odd}}}\n' for text in texts[:-1]))
    with path.open("a") as file:
        file.write(f'{{"id": "a", "at": {texts[-1]}}}\n')
    import_jsonl([path], tmp_path / "out", "t", Fields("id", "at", 10**9), 1)
    assert [m.timestamp_ns for m in read(tmp_path / "out") if m.value] == [
        *(1_381_239_000_350_000_000, 1_381_239_000_001_000_000, 1_381_239_000_000_000_002),
        *(1, 0, 7 * 10**9),
    ]


def test_a_gzipped_file_gives_the_same_messages(path, tmp_path):
    packed = tmp_path / "in.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    fields = Fields("id", "at", 10**9)
    for name, file in ("plain", path), ("packed", packed):
        import_jsonl([file], tmp_path / name, "t", fields, 1)
    assert read(tmp_path / "plain") == read(tmp_path / "packed")
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(Misuse, match="no gzip file"):
        import_jsonl([packed], tmp_path / "cut", "t", fields, 1)


def test_lines_that_cannot_be_used_go_where_the_command_says(path, tmp_path, capsys):
    path.write_bytes(b"{\n" + path.read_bytes() + b'\n{"id": "a", "at": -1}\n')
    out, rejects = tmp_path / "out", tmp_path / "rejects"
    options = ["--topic", "t", "--key", "id", "--timestamp", "at", "--timestamp-unit", "s"]
    command = ["import", "jsonl", str(path), "--out", str(out), "--rejects", str(rejects)]
    assert main([*command, *options]) == 0
    assert [m.value for m in read(out) if m.value] == LINES
    first, second = rejects.read_text().splitlines()
    assert first.startswith(f"{path}:1: no JSON")
    assert first.endswith("\t{")
    assert second.startswith(f"{path}:6: at is no time from 1970")
    assert second.endswith('\t{"id": "a", "at": -1}')
    assert "2 lines could not be used" in capsys.readouterr().err
    command[command.index(str(rejects))] = str(path)
    assert main([*command, *options]) == 2
    assert "is read from" in capsys.readouterr().err
    assert path.read_bytes().startswith(b"{\n")


def test_a_file_that_is_not_there_is_misuse(tmp_path):
    with pytest.raises(Misuse, match="cannot read"):
        import_jsonl([tmp_path / "no"], tmp_path / "out", "t", Fields("id", "at"), 1)
