"""`headrace keys rotate` of sealed files: as if the new key had sealed them, through any kill."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from state.sealing import Keyring
from tests.flows.runs import headrace, settings
from tests.replay.recordings import write
from tests.replay.rotating import killed_after
from tests.system.adt import messages

OLD = Keyring.generate()
NEW = OLD.rotated()
Files = dict[str, bytes]


def env_of(keyring: Keyring, directory: Path) -> dict[str, str]:
    env = settings("127.0.0.1:1", "redis://127.0.0.1:1", directory)
    return env | {"HEADRACE_SEALING__KEYS": keyring.text()}


@pytest.fixture(scope="module")
def replays(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What a replay writes with the old key, and with the new one."""
    directory: Path = tmp_path_factory.mktemp("replays")
    recording = write(directory / "in.parquet", {"adt.raw": 1}, messages(5, 40, 1))
    for name, keyring in (("old", OLD), ("new", NEW)):
        words = ("replay", "adt", str(recording), "--out", str(directory / name))
        assert headrace(env_of(keyring, directory), *words).returncode == 0
    return directory / "old", directory / "new"


@pytest.fixture
def out(replays: tuple[Path, Path], tmp_path: Path) -> Path:
    """The files of the old key, to be changed."""
    return Path(shutil.copytree(replays[0], tmp_path / "out"))


def content(out: Path) -> Files:
    """Return what is in the files, but for what a kill has left of one that was written."""
    found = [path for path in out.rglob("*") if path.is_file() and path.suffix != ".partial"]
    return {str(path.relative_to(out)): path.read_bytes() for path in found}


def sealed(out: Path) -> list[str]:
    return [str(path) for path in sorted(out.rglob("*.jsonl")) if path.stat().st_size]


def test_files_become_what_a_replay_with_the_new_key_writes(replays, out, tmp_path):
    env, files = env_of(NEW, tmp_path), sealed(out)
    wanted = content(replays[1])
    assert content(out).keys() == wanted.keys()
    before = headrace(env, "keys", "count", *files)
    assert (before.returncode, len(before.stdout.splitlines())) == (1, len(files))
    assert not [line for line in before.stdout.splitlines() if line.startswith("0 ")]
    done = headrace(env, "keys", "rotate", *files)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(line.startswith("0 of ") for line in done.stdout.splitlines())
    assert content(out) == wanted
    assert headrace(env, "keys", "count", *files).returncode == 0


def test_a_kill_leaves_whole_files_and_the_next_run_goes_on(replays, out, tmp_path):
    env, files = env_of(NEW, tmp_path), sealed(out)
    before, wanted = content(out), content(replays[1])
    rng = random.Random(1)
    for number in sorted(rng.randrange(100) for _ in range(3)):
        assert killed_after(number, env, *files)
        found = content(out)
        assert found.keys() == wanted.keys()
        assert all(each in (before[name], wanted[name]) for name, each in found.items())
    assert headrace(env, "keys", "rotate", *files).returncode == 0
    assert content(out) == wanted


def test_a_missing_key_is_told_and_nothing_is_changed(out, tmp_path):
    before = content(out)
    newest = Keyring({"k2": NEW.keys["k2"]}, "k2", NEW.index)
    done = headrace(env_of(newest, tmp_path), "keys", "rotate", *sealed(out))
    assert done.returncode == 1
    assert "no key 'k1'" in done.stderr
    assert content(out) == before


def test_what_is_no_sealed_file_is_misuse(tmp_path):
    env = env_of(NEW, tmp_path)
    (tmp_path / "keys.toml").write_text(NEW.text())
    done = headrace(env, "keys", "count", str(tmp_path / "keys.toml"))
    assert (done.returncode, "nothing to count" in done.stderr) == (2, True)
    done = headrace(env, "keys", "count")
    assert (done.returncode, "--system" in done.stderr) == (2, True)
