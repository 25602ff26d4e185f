"""Sealed files of lines: read back as written, and not at all where they were changed."""

from __future__ import annotations

import pytest

from connectors.fhir import lines
from connectors.fhir.lines import LinesReader, LinesWriter
from state.errors import DamagedSeal
from state.sealing import Keyring, Seal

SEAL = Seal(Keyring.generate())
LINES = [b'{"n":%d}' % n for n in range(10)]
HEAD = 4


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A file of three chunks."""
    monkeypatch.setattr(lines, "CHUNK_BYTES", 32)
    writer = LinesWriter(tmp_path / "Patient", SEAL)
    for line in LINES:
        writer.add(line)
    writer.close()
    assert writer.count == len(LINES)
    assert writer.bytes == (tmp_path / "Patient").stat().st_size
    return tmp_path / "Patient"


def read(path, seal: Seal = SEAL) -> list[bytes]:
    with LinesReader(path, seal) as reader:
        return b"".join(reader.chunks()).splitlines()


def chunks(content: bytes) -> list[bytes]:
    found = []
    while content:
        size = HEAD + int.from_bytes(content[:HEAD])
        found.append(content[:size])
        content = content[size:]
    return found


def test_lines_are_read_back(path):
    assert read(path) == LINES
    assert b'"n"' not in path.read_bytes()


def test_a_file_without_lines_opens(tmp_path):
    LinesWriter(tmp_path / "Patient", SEAL).close()
    assert read(tmp_path / "Patient") == []


def test_a_file_that_is_deleted_is_read_to_its_end(path):
    with LinesReader(path, SEAL) as reader:
        path.unlink()
        assert b"".join(reader.chunks()).splitlines() == LINES


def test_what_was_changed_does_not_open(path):
    whole = path.read_bytes()
    first, second, *_, last = parts = chunks(whole)
    assert len(parts) == 3
    flipped = bytearray(whole)
    flipped[-1] ^= 1
    for content in (
        whole[:-1],  # cut off
        first + second,  # without its end
        second + first + last,  # in another order
        last,
        bytes(flipped),
    ):
        path.write_bytes(content)
        with pytest.raises(DamagedSeal):
            read(path)


def test_neither_another_file_nor_another_export_opens_it(path):
    other = path.rename(path.with_name("Encounter"))
    with pytest.raises(DamagedSeal):
        read(other)
    with pytest.raises(DamagedSeal):
        read(other.rename(path), Seal(Keyring.generate()))
