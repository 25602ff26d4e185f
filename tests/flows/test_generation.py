from __future__ import annotations

import multiprocessing
from dataclasses import replace

import orjson
import pytest

from flows.engine.generation import Generation, Start, find_generation
from state.errors import DamagedState, Misuse

START = Start("market", 1, "abc", {"market.ticks": {0: 5, 1: 0}})
FULL = replace(
    START,
    settings={"lateness": 1},
    topics={"market.ticks": "one"},
    outputs={"market.bars": ("two", {0: 7, 1: 8})},
)


def test_a_start_is_read_as_it_was_written(tmp_path):
    generation = Generation(tmp_path, 1)
    generation.directory.mkdir()
    assert generation.load() is None
    for start in (START, FULL):
        generation.store(start)
        assert generation.load() == start
    assert [path.name for path in generation.directory.iterdir()] == ["start.json"]


def test_the_lineage_changes_with_settings_start_and_generation_alone():
    assert START.lineage == Start("market", 1, "abc", {"market.ticks": {1: 0, 0: 5}}).lineage
    others = [
        Start("market", 2, "abc", START.offsets),
        Start("market", 1, "abd", START.offsets),
        Start("market", 1, "abc", {"market.ticks": {0: 6, 1: 0}}),
        Start("market", 1, "abc", {"ticks": {0: 5, 1: 0}}),
    ]
    assert len({START.lineage, *(other.lineage for other in others)}) == 5


def test_the_lineage_changes_with_the_identity_of_a_topic():
    """Else a lost state directory and a topic made anew give two contents one counter."""
    anew = replace(FULL, topics={"market.ticks": "another"})
    assert len({START.lineage, FULL.lineage, anew.lineage}) == 3
    assert replace(FULL, outputs={}, settings={}).lineage == FULL.lineage


def test_a_start_of_a_former_release_keeps_its_lineage(tmp_path):
    generation = Generation(tmp_path, 1)
    generation.directory.mkdir()
    former = {
        "system": "market",
        "generation": 1,
        "settings_hash": "abc",
        "offsets": {"market.ticks": {"0": 5, "1": 0}},
        "settings": {},
    }
    (generation.directory / "start.json").write_bytes(orjson.dumps(former))
    start = generation.load()
    assert start == START
    assert start.lineage == "9681d00d34c02257", "as that release computed it"


def test_the_newest_generation_goes_on_unless_another_is_asked_for(tmp_path):
    assert find_generation(tmp_path, None, 1).number == 1
    for number in (2, 10):
        generation = Generation(tmp_path, number)
        generation.directory.mkdir()
        generation.store(START)
    (tmp_path / "11").mkdir()  # never started
    assert find_generation(tmp_path, None, 1).number == 10
    assert find_generation(tmp_path, None, 12).number == 12
    assert find_generation(tmp_path, 2, 1).number == 2


def _lock(root) -> str:
    try:
        with Generation(root, 1).locked():
            return "held"
    except Misuse as error:
        return str(error)


def test_one_process_holds_the_lock(tmp_path):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        with Generation(tmp_path, 1).locked():
            assert "already running" in pool.apply(_lock, (tmp_path,))
        assert pool.apply(_lock, (tmp_path,)) == "held"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"offsets": 3}', b"null", b"\xff"])
def test_a_start_that_is_damaged_is_told_with_the_file_and_the_ways_out(tmp_path, content):
    generation = Generation(tmp_path, 1)
    generation.directory.mkdir()
    path = generation.directory / "start.json"
    path.write_bytes(content)
    with pytest.raises(DamagedState) as raised:
        generation.load()
    assert str(raised.value).startswith(f"{path} is damaged (it is no ")
    assert "restore it from a copy, or start another generation" in str(raised.value)
