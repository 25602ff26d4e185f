"""Tools are found by their path, and cost nothing before one of them runs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import replay
from flows.__main__ import main
from tests.flows.runs import ROOT

LARGE = ("matplotlib", "numba", "numpy", "polars", "pyarrow")
TOOL = '''"""Made-up {what}."""


def add_arguments(parser):
    parser.add_argument("--beds", type=int, required=True)


def run(args):
    print("{what} of", args.beds, "beds")
    return 3
'''
LINES = {
    "simulate": ["simulate", "ward"],
    "report": ["report", "ward"],
    "import_ward_lists": ["import", "ward-lists"],
}
"""A tool's file -> the command line that finds it."""


@pytest.fixture
def ward(tmp_path, monkeypatch):
    """A system whose folder lies below another ``replay``."""
    folder = tmp_path / "ward"
    folder.mkdir()
    for name in LINES:
        (folder / f"{name}.py").write_text(TOOL.format(what=name))
    monkeypatch.setattr(replay, "__path__", [*replay.__path__, str(tmp_path)])
    yield folder
    for name in [name for name in sys.modules if name.startswith("replay.ward")]:
        del sys.modules[name]
    vars(replay).pop("ward", None)


@pytest.mark.parametrize(("tool", "words"), LINES.items(), ids=LINES)
def test_a_system_added_as_a_folder_is_found(ward, capsys, tool, words):
    assert main([*words, "--beds", "12"]) == 3, "the tool's exit code"
    assert capsys.readouterr().out == f"{tool} of 12 beds\n"
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith(f"headrace {' '.join(words)}: ")


@pytest.mark.parametrize("words", LINES.values(), ids=" ".join)
def test_help_names_every_tool_and_each_names_its_options(ward, capsys, words):
    with pytest.raises(SystemExit):
        main([words[0], "--help"])
    told = capsys.readouterr().out.split()
    others = ["daily-prices", "jsonl", "lean"] if words[0] == "import" else ["market"]
    assert {*others, words[1], "Made-up"} <= set(told)
    assert "--beds" not in told
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    told = capsys.readouterr().out
    assert told.startswith(f"usage: headrace {' '.join(words)} ")
    assert "--beds" in told


@pytest.mark.parametrize(
    "words",
    [
        ["simulate"],
        ["simulate", "market"],
        ["import"],
        ["import", "jsonl"],
        ["import", "hl7"],
        ["import", "lean"],
        ["import", "daily-prices"],
        ["report"],
        ["report", "market"],
    ],
    ids=" ".join,
)
def test_help_loads_nothing_large(words):
    program = (
        "import sys; from flows.__main__ import main\n"
        "try: main(sys.argv[1:])\n"
        f"except SystemExit: sys.exit(' '.join({set(LARGE)!r} & sys.modules.keys()) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: headrace {' '.join(words)} ")
