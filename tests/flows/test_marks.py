"""The key that flows and tools of one installation share."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from flows.engine.marks import FILE, marked_cluster
from flows.settings.servers import Kafka, Run
from flows.settings.settings import Settings
from state.errors import SettingsError


def at(directory: Path, key: str = "") -> Settings:
    return Settings(run=Run(state_dir=directory), kafka=Kafka(mark_key=SecretStr(key)))


def test_all_who_share_a_state_directory_share_a_key_that_nobody_else_reads(tmp_path):
    made = at(tmp_path / "state")
    with ThreadPoolExecutor(8) as pool:
        marks = set(pool.map(lambda _: marked_cluster(made).mark, range(8)))
    assert len(marks) == 1
    assert marks != {marked_cluster(at(tmp_path / "other")).mark}
    (file,) = (tmp_path / "state").iterdir()
    assert file.name == FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_key_of_the_settings_goes_before_that_of_the_directory(tmp_path):
    one, two = (marked_cluster(at(tmp_path / name, "k")).mark for name in ("a", "b"))
    assert one == two
    assert list(tmp_path.iterdir()) == []
    assert "k" not in repr(one).replace("Mark", "")


def test_a_key_that_cannot_be_kept_is_one_sentence_with_the_way_out(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"mark\.key .*: set kafka\.mark_key"):
        marked_cluster(at(tmp_path / "file"))
