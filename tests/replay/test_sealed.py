"""Recordings of secret topics are sealed, and every tool opens them with the key."""

from __future__ import annotations

import os
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.kafka.client import Cluster
from connectors.kafka.tail import since
from flows.__main__ import main
from replay import writer as module
from replay.message import Message
from replay.recording import SCHEMA, Recording
from replay.sealed import PLAINTEXT, SEALED_KEY, Keys
from replay.writer import RecordingWriter
from state.errors import DamagedSeal, Misuse
from state.key_file import key_file
from state.sealed_values import ValueSealer, is_sealed
from state.sealing import Keyring, Seal
from tests.files import bytes_of, files_below
from tests.replay.recordings import message, read, write

KEYRING = Keyring.generate()
SEAL = Seal(KEYRING)
CANARY = b"CANARYPATIENT"
BROKER = "HEADRACE_KAFKA__BOOTSTRAP"


def keys() -> Seal:
    return SEAL


def keys_of(keyring: Keyring | None) -> Keys:
    return lambda: None if keyring is None else Seal(keyring)


def secret(offset: int, topic: str = "adt.raw", **more) -> Message:
    fields = {"key": CANARY, "value": b"PID|1||" + CANARY} | more
    return message(offset, **fields)._replace(topic=topic)


def plain(messages):
    return [m._replace(headers=list(m.headers)) for m in messages]


MESSAGES = [
    secret(0),
    secret(3, key=None, headers=[("h", b"v")]),
    secret(4, value=None),
    secret(5, value=b"", key=b""),
]


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    return write(tmp_path / "sealed.parquet", {"adt.raw": 1}, MESSAGES, SEAL)


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The key file of `SEAL`, where commands find it."""
    path = key_file()
    path.write_text(KEYRING.text())
    return path


@pytest.mark.parametrize("rows", [1, 3, 65_536])
def test_what_is_sealed_is_read_with_the_key(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(module, "GROUP_ROWS", rows)
    path = write(tmp_path / "a", {"adt.raw": 1, "market.ticks": 2}, [
        *MESSAGES,
        message(7)._replace(topic="market.ticks", partition=1),
    ], SEAL)  # fmt: skip
    found = plain(read(path, keys))
    assert found[: len(MESSAGES)] == plain(MESSAGES)
    assert found[-1].value == message(7).value


def test_no_byte_of_the_file_tells_a_key_or_a_value(tmp_path, sealed):
    assert CANARY not in sealed.read_bytes()
    clear = write(tmp_path / "clear", {"adt.raw": 1}, MESSAGES)
    assert CANARY in clear.read_bytes(), "the canary would be seen"


@pytest.mark.parametrize("topic", ["adt.raw", "notes.documents"])
def test_two_seals_of_one_record_differ(tmp_path, topic):
    cells = []
    for name in "ab":
        path = write(tmp_path / name, {topic: 1}, [secret(0, topic), secret(1, topic)], SEAL)
        table = pq.read_table(path)
        cells += table.column("value").to_pylist() + table.column("key").to_pylist()
    assert len(set(cells)) == 8


def test_counts_offsets_and_times_are_read_without_a_key(sealed):
    table = pq.read_table(sealed)
    assert table.column("offset").to_pylist() == [0, 3, 4, 5]
    assert table.column("timestamp_ns").to_pylist() == [m.timestamp_ns for m in MESSAGES]
    assert table.column("value").null_count == 1
    recording = Recording([sealed])
    assert (len(recording), recording.partitions, recording.first_ns) == (4, {"adt.raw": 1}, 0)
    with pytest.raises(Misuse, match="'k1'"):
        recording.reader()


def test_the_metadata_name_the_key_and_hold_a_data_key_a_row_group(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "GROUP_ROWS", 2)
    path = write(tmp_path / "a", {"adt.raw": 1, "t": 1}, [*MESSAGES, message(0)], SEAL)
    metadata = pq.read_metadata(path)
    said = orjson.loads(metadata.metadata[SEALED_KEY])
    assert metadata.metadata[b"headrace.recording"] == b"2"
    assert (said["cipher"], said["key_id"]) == ("AES-256-GCM", "k1")
    wrapped = said["data_keys"]
    assert len(wrapped) == metadata.num_row_groups == 3
    assert sum(key is None for key in wrapped) == 1, "a topic that is not secret is in clear"
    assert len(set(wrapped)) == 3


def rewritten(path: Path, table: pa.Table) -> Path:
    """Write a table under the metadata of a recording, as somebody without the key can."""
    said = pq.read_metadata(path).metadata
    with pq.ParquetWriter(path, SCHEMA.with_metadata(said)) as file:
        file.write_table(table.cast(SCHEMA).replace_schema_metadata(said))
    return path


def changed(table: pa.Table, name: str, cells: list) -> pa.Table:
    place = table.schema.get_field_index(name)
    return table.set_column(
        place, table.schema.field(name), pa.array(cells, SCHEMA.field(name).type)
    )


def test_what_is_rewritten_alike_opens(sealed):
    assert len(read(rewritten(sealed, pq.read_table(sealed)), keys)) == 4


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("value", lambda cells: [cells[1], cells[0], *cells[2:]]),
        ("offset", lambda cells: [1, *cells[1:]]),
        ("partition", lambda cells: [1] * len(cells)),
        ("topic", lambda cells: ["adt.out"] * len(cells)),
        ("value", lambda cells: [cells[0][:-1] + b"x", *cells[1:]]),
        ("value", lambda cells: [cells[0][:5], *cells[1:]]),
        ("value", lambda cells: [b"", *cells[1:]]),
        ("key", lambda cells: [b"plain", *cells[1:]]),
    ],
    ids=["swapped", "offset", "partition", "topic", "byte", "short", "empty", "clear"],
)
def test_a_cell_opens_in_its_own_place_alone(sealed, name, change):
    table = pq.read_table(sealed)
    rewritten(sealed, changed(table, name, change(table.column(name).to_pylist())))
    with pytest.raises(DamagedSeal, match="sealed"):
        read(sealed, keys)


def test_a_value_does_not_open_as_a_key(sealed):
    table = pq.read_table(sealed)
    rewritten(sealed, changed(table, "key", table.column("value").to_pylist()))
    with pytest.raises(DamagedSeal):
        read(sealed, keys)


def test_the_error_names_the_place_and_no_content(sealed):
    table = pq.read_table(sealed)
    cells = table.column("value").to_pylist()
    rewritten(sealed, changed(table, "value", [cells[1], cells[0], *cells[2:]]))
    with pytest.raises(DamagedSeal) as caught:
        read(sealed, keys)
    assert "value/adt.raw/0/0" in str(caught.value)
    assert CANARY.decode() not in str(caught.value)


@pytest.mark.parametrize(
    "said",
    [b"", b"[]x", b"[1]", b'{"cipher":"AES-256-GCM","key_id":"k1"}',
     b'{"cipher":"ROT13","data_keys":["AA=="],"key_id":"k1"}',
     b'{"cipher":"AES-256-GCM","data_keys":[],"key_id":"k1"}'],
)  # fmt: skip
def test_damaged_metadata_are_misuse(sealed, said):
    table = pq.read_table(sealed)
    pq.write_table(
        table.replace_schema_metadata(pq.read_metadata(sealed).metadata | {SEALED_KEY: said}),
        sealed,
    )
    with pytest.raises(Misuse, match=r"headrace\.sealed cannot be read"):
        Recording([sealed], keys)


@pytest.mark.parametrize(
    ("keyring", "reason"),
    [
        (None, "is sealed with the key 'k1', which is not here"),
        (Keyring({"k9": os.urandom(32)}, "k9", os.urandom(32)), "is sealed with the key 'k1'"),
        (Keyring.generate(), "key 'k1' does not open .*another key of the same id"),
    ],
    ids=["none", "another id", "the same id"],
)
def test_a_wrong_key_is_misuse_that_names_it(sealed, keyring, reason):
    with pytest.raises(Misuse, match=reason):
        Recording([sealed], keys_of(keyring))


def test_a_rotated_keyring_opens_what_the_former_key_sealed(sealed):
    assert len(read(sealed, keys_of(KEYRING.rotated()))) == 4


def test_in_clear_is_said_in_the_metadata(tmp_path):
    path = write(tmp_path / "a", {"adt.raw": 1}, MESSAGES, PLAINTEXT)
    metadata = pq.read_metadata(path).metadata
    assert metadata[SEALED_KEY] == b'{"plaintext":true}'
    assert metadata[b"headrace.recording"] == b"1"
    assert plain(read(path)) == plain(MESSAGES)
    market = write(tmp_path / "b", {"t": 1}, [message(0)], PLAINTEXT)
    assert SEALED_KEY not in pq.read_metadata(market).metadata


def test_nothing_secret_is_in_clear_by_an_oversight(tmp_path):
    with pytest.raises(ValueError, match="needs a seal"):
        RecordingWriter(tmp_path / "a", {"adt.raw": 1})
    assert not list(tmp_path.iterdir())


def run(*words: object) -> int:
    return main([str(word) for word in words])


SPAN = ["--from", "1970-01-01T00:00:01", "--to", "1970-01-01T00:00:05"]


def test_a_cut_of_a_sealed_recording_is_sealed(sealed, key, tmp_path):
    out = tmp_path / "cut"
    assert run("cut", sealed, *SPAN, "--out", out) == 0
    assert CANARY not in out.read_bytes()
    assert plain(read(out, keys)) == plain(MESSAGES[1:3])


def test_a_cut_in_clear_is_on_demand(sealed, key, tmp_path):
    out = tmp_path / "cut"
    assert run("cut", sealed, *SPAN, "--out", out, "--plaintext") == 0
    assert plain(read(out)) == plain(MESSAGES[1:3])


@pytest.mark.parametrize("command", ["cut", "replay", "publish"])
def test_without_the_key_a_command_is_misuse_of_one_line(sealed, tmp_path, capsys, command):
    words = {
        "cut": [sealed, *SPAN, "--out", tmp_path / "out"],
        "replay": ["adt", sealed, "--out", tmp_path / "out"],
        "publish": [sealed],
    }[command]
    assert run(command, *words) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "'k1'" in err
    assert "HEADRACE_KEY_FILE" in err


def test_a_diff_of_sealed_recordings_is_that_of_their_messages(sealed, key, tmp_path, capsys):
    again = write(tmp_path / "again", {"adt.raw": 1}, MESSAGES, SEAL)
    assert again.read_bytes() != sealed.read_bytes()
    assert run("diff", sealed, again) == 0
    assert capsys.readouterr().out == "adt.raw[0]: same\n"
    other = [MESSAGES[0], MESSAGES[1]._replace(value=b"other"), *MESSAGES[2:]]
    assert run("diff", sealed, write(again, {"adt.raw": 1}, other, SEAL)) == 1
    told = capsys.readouterr().out
    assert "message 2 differs" in told
    assert told.count("offset 3, timestamp_ns 3000000000; not equal: value") == 2
    assert "other" not in told
    key.unlink()
    assert run("diff", sealed, again) == 2
    assert "'k1'" in capsys.readouterr().err


def test_a_diff_of_recordings_knows_their_partitions_and_ends(tmp_path, capsys):
    one = write(tmp_path / "one", {"t": 2, "u": 1}, [message(0), message(1)])
    two = write(tmp_path / "two", {"t": 3}, [message(0)])
    assert run("diff", one, two) == 1
    assert capsys.readouterr().out.splitlines() == [
        "t[0]: message 2 differs",
        f"  {one}: offset 1, timestamp_ns 1000000000",
        f"  {two}: (the file has ended)",
        "t[1]: same",
        f"t[2]: only in {two}",
        f"u[0]: only in {one}",
    ]


ADMISSION = (
    b"MSH|^~\\&|A|B|||20240305||ADT^A01|1|P|2.5\rEVN|A01|20240305\rPID|1||CANARYPATIENT\r"
    b"PV1|1|I|W^1^1" + b"|" * 16 + b"V1\r"
)


def import_admission(directory: Path) -> Path:
    (directory / "a.hl7").write_bytes(ADMISSION)
    out = directory / "in.parquet"
    assert run("import", "hl7", directory / "a.hl7", "--out", out) == 0
    return out


def test_the_first_import_makes_a_key_file_and_says_so(tmp_path, capsys):
    import_admission(tmp_path)
    err = capsys.readouterr().err
    assert err == f"{key_file()} is made: it seals recordings from now on, keep a copy\n"
    assert key_file().stat().st_mode & 0o777 == 0o600
    import_admission(tmp_path)
    assert capsys.readouterr().err == ""


def test_an_import_and_its_replay_leave_nothing_in_clear(tmp_path):
    imported = import_admission(tmp_path)
    assert run("replay", "adt", imported, "--out", tmp_path / "out") == 0
    (tmp_path / "a.hl7").unlink()
    files = list(files_below(tmp_path))
    assert len(files) > 3
    assert not [path for path in files if CANARY in bytes_of(path)]
    assert run("replay", "adt", imported, "--out", tmp_path / "out", "--plaintext") == 0
    assert CANARY in (tmp_path / "out/tables/location_visits.jsonl").read_bytes(), "it was applied"


def test_json_lines_of_a_secret_topic_are_sealed(tmp_path, key):
    lines = tmp_path / "a.jsonl"
    lines.write_bytes(b'{"k":"CANARYPATIENT","t":5}\n')
    words = ["--key", "k", "--timestamp", "t", "--out", tmp_path / "out"]
    assert run("import", "jsonl", lines, "--topic", "notes.in", *words) == 0
    assert CANARY not in (tmp_path / "out").read_bytes()
    assert read(tmp_path / "out", keys)[0].key == CANARY
    assert run("import", "jsonl", lines, "--topic", "notes.in", *words, "--plaintext") == 0
    assert CANARY in (tmp_path / "out").read_bytes()


@pytest.fixture
def named(kafka, topic, monkeypatch):
    """An empty topic of patient data, on the broker that commands find."""
    monkeypatch.setenv(BROKER, kafka.bootstrap)
    return topic(1, "adt")


def held(topic):
    return [each.value() for each in since(Cluster(os.environ[BROKER]), topic, 0, 1 << 30)]


def test_a_recording_goes_through_kafka_and_back_sealed(named, tmp_path, key):
    given = [secret(0, named), secret(1, named, value=b"", key=None), secret(2, named, value=None)]
    path = write(tmp_path / "a", {named: 1}, given, SEAL)
    assert run("publish", path) == 0
    first, *others = held(named)
    assert is_sealed(first)
    assert CANARY not in first
    assert others == [b"", None], "there is nothing to seal"
    assert run("record", named, "--out", tmp_path / "b") == 0
    assert CANARY not in (tmp_path / "b").read_bytes()
    found = read(tmp_path / "b", keys)
    assert [(m.key, m.value) for m in found] == [(m.key, m.value) for m in given]
    assert run("diff", tmp_path / "b", tmp_path / "b") == 0
    assert run("record", named, "--out", tmp_path / "c", "--plaintext") == 0
    assert CANARY in (tmp_path / "c").read_bytes()


def test_without_a_key_nothing_is_published_or_recorded(named, tmp_path, key, capsys):
    path = write(tmp_path / "a", {named: 1}, [secret(0, named)])
    assert run("publish", path) == 0
    other = Keyring({"k9": os.urandom(32)}, "k9", os.urandom(32))
    key.write_text(other.text())
    capsys.readouterr()
    assert run("record", named, "--out", tmp_path / "c", "--plaintext") == 2
    key.unlink()
    assert run("record", named, "--out", tmp_path / "c", "--plaintext") == 2
    assert run("publish", path) == 2
    named_key, none, unpublished = capsys.readouterr().err.splitlines()
    assert "no key 'k1'" in named_key
    assert "are sealed" in none
    assert "headrace keys init" in unpublished
    assert not (tmp_path / "c").exists()
    assert len(held(named)) == 1


def test_a_value_that_no_key_opens_stays_sealed_in_a_recording(named, tmp_path, key, capsys):
    damaged = ValueSealer(SEAL, named).seal(b"x" * 50)[:-1]
    given = [secret(0, named, value=damaged), secret(1, named)]
    path = write(tmp_path / "a", {named: 1}, given, SEAL)
    assert run("publish", path) == 0
    assert run("record", named, "--out", tmp_path / "b") == 0
    assert "1 values do not open" in capsys.readouterr().err
    assert [m.value for m in read(tmp_path / "b", keys)] == [m.value for m in given]
