"""Every block of code in the documents is run, or says by its language why it is not."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from tests.docs.pages import PAGES, Block, blocks, name
from tests.flows.runs import ROOT, settings

RUN = ("python", "sh")
READ = ("json", "toml", "hex", "console", "text", "sql")
PAGES_THAT_RUN = [
    page for page in PAGES if any(block.language in RUN or block.title for block in blocks(page))
]


PARSERS: dict[str, Callable[[str], object]] = {
    "json": orjson.loads,
    "toml": tomllib.loads,
    "hex": bytes.fromhex,
}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_says_what_becomes_of_it(page):
    for block in blocks(page):
        where = f"{name(page)}:{block.line}"
        assert block.language in RUN + READ, f"{where}: language {block.language!r}"
        assert all(word == "servers" or word.startswith("title=") for word in block.words), where


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_data_in_blocks_parses(page):
    for block in blocks(page):
        if parse := PARSERS.get(block.language):
            assert parse(block.text), f"{name(page)}:{block.line} is empty"


@pytest.mark.parametrize("page", PAGES_THAT_RUN, ids=name)
def test_the_blocks_of_a_page_run(page, tmp_path, request):
    env = environment(page, tmp_path, request)
    directory = tmp_path / "page"
    directory.mkdir()
    for block in blocks(page):
        words = command(block, directory)
        if words:
            done = subprocess.run(
                words, cwd=directory, env=env, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{name(page)}:{block.line}\n{done.stdout}{done.stderr}"


def command(block: Block, directory: Path) -> list[str]:
    """Return what runs a block, after writing it where it has a title; [] for nothing."""
    if block.title:
        (directory / block.title).write_text(block.text)
        if not block.title.startswith("test_"):
            return []
        options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib"]
        return [sys.executable, "-m", "pytest", *options, block.title]
    if block.language == "python":
        return [sys.executable, "-c", block.text]
    if block.language == "sh":
        return ["bash", "-euo", "pipefail", "-c", block.text]
    return []


def environment(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """Return settings, and a PATH with `headrace` as a user has it."""
    script = tmp_path / "bin" / "headrace"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m flows "$@"\n')
    script.chmod(0o755)
    bootstrap, redis_url, more = "127.0.0.1:1", "redis://127.0.0.1:1/0", {}
    if any("servers" in block.words for block in blocks(page)):
        bootstrap = request.getfixturevalue("own_kafka").bootstrap
        redis_url = request.getfixturevalue("redis_url")
        more = {"HEADRACE_POSTGRES__DSN": request.getfixturevalue("database")}
    env = settings(bootstrap, redis_url, tmp_path, **more)
    return env | {
        "PATH": f"{script.parent}{os.pathsep}{env['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path / "page")]),
    }


def test_a_block_that_fails_is_seen(tmp_path):
    block = Block(1, "sh", (), "false\ntrue\n")
    assert subprocess.run(command(block, tmp_path), check=False).returncode == 1
    failing = Block(1, "python", ("title=test_x.py",), "def test_x():\n    assert False\n")
    assert command(failing, tmp_path)[1:3] == ["-m", "pytest"]
    assert (tmp_path / "test_x.py").read_text() == failing.text
