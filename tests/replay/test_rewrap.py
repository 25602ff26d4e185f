"""`headrace keys rotate RECORDING...`: new wraps, the same cells, and no harm by a kill."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows.__main__ import main
from replay import writer as module
from replay.rewrap import names_former_key
from state.key_file import key_file
from state.sealing import Keyring, Seal
from tests.flows.runs import ROOT
from tests.replay.recordings import message, read, write
from tests.waiting import eventually

OLD = Keyring.generate()
NEW = OLD.rotated()
MESSAGES = [
    message(offset, value=b"v%d" % offset, headers=[("h", b"x")])._replace(topic="adt.raw")
    for offset in range(5)
]


@pytest.fixture
def sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recording of three row groups, sealed before the rotation."""
    monkeypatch.setattr(module, "GROUP_ROWS", 2)
    key_file().write_text(NEW.text())
    return write(tmp_path / "a.parquet", {"adt.raw": 3, "t": 1}, [*MESSAGES, message(0)], Seal(OLD))


def rotate(*paths: Path) -> int:
    return main(["keys", "rotate", *map(str, paths)])


def only_new() -> Seal:
    return Seal(Keyring({"k2": NEW.keys["k2"]}, "k2", NEW.index))


def test_the_new_key_alone_opens_it_and_no_cell_was_touched(sealed, capsys):
    before, metadata = pq.read_table(sealed), pq.read_metadata(sealed)
    groups = metadata.num_row_groups
    assert rotate(sealed) == 0
    assert capsys.readouterr().out == "0 of 1 recordings name a key from before k2\n"
    after = pq.read_table(sealed)
    assert after.equals(before)
    assert pq.read_metadata(sealed).num_row_groups == groups == 4
    for name in (b"headrace.recording", b"headrace.partitions"):
        assert pq.read_metadata(sealed).metadata[name] == metadata.metadata[name]
    found = read(sealed, only_new)
    assert [m.value for m in found] == [m.value for m in [*MESSAGES, message(0)]]
    assert list(sealed.parent.iterdir()) == [sealed]


def test_what_names_the_newest_key_or_none_is_left_alone(sealed, tmp_path):
    rotate(sealed)
    clear = write(tmp_path / "clear", {"adt.raw": 1}, MESSAGES)
    files = {path: (path.read_bytes(), path.stat().st_ino) for path in (sealed, clear)}
    assert rotate(*files) == 0
    assert {path: (path.read_bytes(), path.stat().st_ino) for path in files} == files


def test_what_cannot_be_wrapped_anew_is_told_and_counted(sealed, tmp_path, capsys):
    other = Seal(Keyring.generate().rotated().rotated())
    foreign = write(tmp_path / "foreign", {"adt.raw": 1}, MESSAGES, other)
    before = foreign.read_bytes()
    assert rotate(foreign, sealed) == 1
    out, err = capsys.readouterr()
    assert out == "1 of 2 recordings name a key from before k2\n"
    assert "'k3'" in err
    assert foreign.read_bytes() == before
    assert not names_former_key(sealed, only_new())


def test_a_key_file_and_its_recordings_are_rotated_by_one_command(sealed, capsys):
    assert rotate(sealed, key_file()) == 0
    assert capsys.readouterr().out.endswith("0 of 1 recordings name a key from before k3\n")
    assert len(Keyring.parse(key_file().read_text()).keys) == 3


def test_a_link_is_rotated_where_it_leads_and_one_process_at_a_time_rotates(sealed, capsys):
    link = sealed.with_name("link.parquet")
    link.symlink_to(sealed)
    with sealed.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert rotate(link) == 1
    assert "another process rotates" in capsys.readouterr().err
    assert rotate(link) == 0
    assert link.is_symlink()
    assert rotate(sealed) == 0
    assert "0 of 1 recordings" in capsys.readouterr().out


def test_the_rest_of_a_rotation_that_was_killed_is_written_over(sealed):
    sealed.with_name("a.parquet.partial").write_bytes(sealed.read_bytes()[:200])
    assert rotate(sealed) == 0
    assert list(sealed.parent.iterdir()) == [sealed]
    assert len(read(sealed, only_new)) == 6


def test_a_kill_at_any_time_loses_nothing_and_the_next_run_goes_on(sealed, tmp_path, capsys):
    copies = [tmp_path / f"{number:02}.parquet" for number in range(40)]
    for copy in copies:
        copy.write_bytes(sealed.read_bytes())
    words = [sys.executable, "-m", "flows", "keys", "rotate", *map(str, copies)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(words, env=env, cwd=ROOT, stdout=subprocess.DEVNULL) as child:
        eventually(lambda: not names_former_key(copies[0], only_new()))
        child.kill()
    for copy in copies:
        assert len(read(copy, lambda: Seal(NEW))) == 6
    assert rotate(*copies) == 0
    assert capsys.readouterr().out == "0 of 40 recordings name a key from before k2\n"
    for copy in copies:
        assert len(read(copy, only_new)) == 6
