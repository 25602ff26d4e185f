"""`headrace audit verify`: files, records beside them, heads and exit codes."""

from __future__ import annotations

import hashlib

import orjson
import pytest

from flows.__main__ import main
from operators.audit import AuditChain
from state.outputs import to_json


@pytest.fixture
def directory(tmp_path):
    """An export with three decisions, two states and an entry that is of no record."""
    chain = AuditChain("trading")
    files: dict[str, list[bytes]] = {"decisions": [], "state": [], "audit": []}
    for number, output in enumerate(["decisions", "state", "decisions", "decisions", "state"]):
        record = to_json({"id": f"r{number}", "ts_ns": number})
        files[output].append(record)
        what = {"output": output, "sha256": hashlib.sha256(record).hexdigest()}
        files["audit"].append(to_json(chain.append(number, what)))
    files["audit"].append(to_json(chain.append(9, {"what": "started"})))
    for name, lines in files.items():
        write(tmp_path / f"{name}.jsonl", lines)
    return tmp_path


def write(path, lines):
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def lines(path):
    return path.read_bytes().splitlines()


def head(directory):
    return orjson.loads(lines(directory / "audit.jsonl")[-1])["hash"]


def verify(*words):
    return main(["audit", "verify", *map(str, words)])


def test_a_good_directory_and_a_good_file_say_what_they_hold(directory, capsys):
    assert verify(directory, directory / "audit.jsonl") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"{directory}: 6 entries, 5 records with them"
    assert said[1] == f"  chain trading ends with entry 6, {head(directory)}"
    assert said[2] == f"{directory / 'audit.jsonl'}: 6 entries"


def test_an_altered_byte_is_told_with_file_line_and_entry(directory, capsys):
    path = directory / "audit.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"ts_ns":2', b'"ts_ns":3'))
    assert verify(directory) == 1
    assert capsys.readouterr().out.startswith(f"{path}:3: entry 3: ")


def test_every_changed_byte_of_a_record_file_is_found(directory, capsys):
    path = directory / "decisions.jsonl"
    data = path.read_bytes()
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert verify(directory) == 1, at
    path.write_bytes(data)
    assert verify(directory) == 0


@pytest.mark.parametrize("output", ["decisions", "state"])
def test_a_record_without_entry_and_an_entry_without_record_are_found(directory, capsys, output):
    path = directory / f"{output}.jsonl"
    good = lines(path)
    write(path, [*good, b'{"id":"forged"}'])
    assert verify(directory) == 1
    assert f"{path}:{len(good) + 1}: " in capsys.readouterr().out
    write(path, [*good, good[-1]])
    assert verify(directory) == 1
    write(path, good[:-1])
    assert verify(directory) == 1
    assert "the record of entry" in capsys.readouterr().out
    path.unlink()
    assert verify(directory) == 1


def test_a_chain_that_was_cut_off_is_found_by_the_records_beside_it(directory):
    path = directory / "audit.jsonl"
    write(path, lines(path)[:3])
    assert verify(path) == 0  # by itself it is a good chain
    assert verify(directory) == 1
    write(path, [])
    assert verify(directory) == 1


def test_a_chain_that_was_cut_off_is_found_by_a_head_noted_before(directory, capsys):
    path = directory / "audit.jsonl"
    noted = head(directory)
    assert verify(path, "--head", noted) == 0
    write(path, lines(path)[:5])
    capsys.readouterr()
    assert verify(path, "--head", noted) == 1
    assert noted in capsys.readouterr().out
    earlier = head(directory)
    assert verify(path, "--head", earlier, "--head", noted) == 1
    assert verify(path, "--head", earlier) == 0


def test_a_head_noted_earlier_is_found_in_a_chain_that_has_grown(directory):
    path = directory / "audit.jsonl"
    second = orjson.loads(lines(path)[1])["hash"]
    assert verify(path, "--head", second) == 0


def test_what_cannot_be_read_is_misuse(tmp_path, capsys):
    assert verify(tmp_path) == 2
    assert verify(tmp_path / "nothing") == 2
    with pytest.raises(SystemExit) as ended:
        verify(tmp_path, "--head", "xyz")
    assert ended.value.code == 2
    assert "64 hexadecimal digits" in capsys.readouterr().err
