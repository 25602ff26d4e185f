from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from flows.__main__ import COMMANDS, main
from tests.flows.runs import ROOT


def test_help_lists_every_command_and_is_quick():
    before = _seconds_of_children()
    done = subprocess.run(
        [sys.executable, "-m", "flows", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    # Processor time: the machine may be busy with other things.
    assert _seconds_of_children() - before < 0.3
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


def _seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["fly"], "headrace: there is no command 'fly'; `headrace --help` lists them"),
        (["config"], "headrace config: the following arguments are required: SYSTEM"),
        (["config", "moon"], "headrace: config: there is no system 'moon'"),
        (["config", "market", "--config", "/no/such"], "headrace: config: cannot read"),
        (
            ["run", "moon"],
            "headrace: run: there is no system 'moon': choose adt, fhir, deid, market",
        ),
        (["run", "/no/such.py"], "headrace: run: there is no flow file /no/such.py"),
        (["run", "market", "--workers", "9"], "headrace: run: --workers 9: choose 1 to 4"),
        (["run", "market", "--workers", "x"], "headrace run: argument --workers"),
    ],
)
def test_misuse_is_one_line_on_stderr_and_code_two(words, line, capsys):
    try:
        code: object = main(words)
    except SystemExit as end:  # argparse's own way out
        code = end.code
    out, err = capsys.readouterr()
    assert code == 2
    assert err.startswith(line)
    assert err.count("\n") == 1
    assert out == ""


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: headrace {name}")


def test_a_flow_file_is_not_named_like_a_system(tmp_path, capsys):
    for name in ("market.py", "My Flow.py"):
        (tmp_path / name).write_text("")
        assert main(["run", str(tmp_path / name)]) == 2
        assert "name the file with small letters" in capsys.readouterr().err
