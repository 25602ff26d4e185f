"""What the documents name exists: files, links, commands, options, settings, metrics, headers."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

import state.metrics  # noqa: F401  # importing it registers the metrics
from benchmarks.commands.bench import BENCHMARKS
from flows.__main__ import COMMANDS, Parser
from flows.config import CONFIG_VARIABLE, PREFIX, load
from flows.engine.systems import flow_modules
from flows.market.trading_settings import SEQUENCED, Trading
from state.market.outputs import OUTPUTS
from state.outputs import DEAD
from tests.docs.pages import PAGES, anchors, blocks, inline_code, links, name
from tests.flows.runs import ROOT

LAYERS = ("state", "operators", "connectors", "flows", "replay", "benchmarks")
SETTINGS = {setting.name for setting in load(environ={}).listing()}

each_page = pytest.mark.parametrize("page", PAGES, ids=name)


@each_page
def test_relative_links_lead_somewhere(page):
    for target in links(page):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), f"{name(page)}: {target}"
        assert ROOT in path.parents, f"{name(page)}: {target} leads out of the repository"
        assert not anchor or anchor in anchors(path), f"{name(page)}: {target}"


@each_page
def test_paths_in_the_text_exist(page):
    first = "|".join([*LAYERS, "tests", "docs", "deploy"])
    for code in inline_code(page):
        if re.fullmatch(rf"({first})/[\w./-]*", code):
            assert (ROOT / code).exists(), f"{name(page)}: {code}"


@each_page
def test_command_lines_are_understood(page):
    for words in command_lines(page):
        assert words[0] in COMMANDS, f"{name(page)}: headrace {shlex.join(words)}"
        assert understood(words), f"{name(page)}: headrace {shlex.join(words)}"


@each_page
def test_commands_and_options_in_the_text_exist(page):
    for code in inline_code(page):
        for part in re.findall(r"\bheadrace ([a-z]\S*[^|]*)", code):
            command, *words = part.split()
            assert command in COMMANDS, f"{name(page)}: {code}"
            known = options(command, *words)
            for option in (word for word in words if word.startswith("--")):
                assert option.partition("=")[0] in known, f"{name(page)}: {code}"


@each_page
def test_make_targets_exist(page):
    targets = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text()))
    console = [block.text for block in blocks(page) if block.language == "console"]
    for code in [*inline_code(page), *"".join(console).splitlines()]:
        if match := re.match(r"(?:\$ )?make ([a-z]+)", code):
            assert match[1] in targets, f"{name(page)}: {code}"


@each_page
def test_settings_exist(page):
    topics = {f"{system}.{DEAD}" for system in flow_modules()} | {
        output.topic for output in OUTPUTS
    }
    tables = {".".join(setting.split(".")[:-1]) for setting in SETTINGS}
    named = SETTINGS | tables | topics | {"market.ticks", SEQUENCED, *Trading().topics}
    for code in inline_code(page):
        if re.fullmatch(r"(kafka|redis|postgres|run|market|trading)\.[a-z_.]+", code) and not (
            code.endswith((".py", ".md"))
        ):
            assert code in named, f"{name(page)}: {code}"
    variables = {PREFIX + setting.upper().replace(".", "__") for setting in SETTINGS}
    variables |= {f"{variable}_FILE" for variable in variables} | {CONFIG_VARIABLE}
    for found in re.findall(rf"\b{PREFIX}[A-Z0-9_]*[A-Z0-9]", page.read_text()):
        assert found in variables or f'"{found}"' in text_of("tests"), f"{name(page)}: {found}"


@each_page
def test_metrics_tables_and_headers_exist(page):
    metrics = {sample.name for metric in REGISTRY.collect() for sample in metric.samples}
    metrics |= {metric.name for metric in REGISTRY.collect()}
    # A counter that nothing was counted by has no sample.
    metrics |= {f"{m.name}_total" for m in REGISTRY.collect() if m.type == "counter"}
    tables = set(re.findall(r"\bheadrace_[a-z_]+", text_of("connectors/postgres")))
    for code in inline_code(page):
        for found in re.findall(r"\bheadrace_[a-z_]*[a-z]", code):
            assert found in metrics or found in tables, f"{name(page)}: {found}"
        if re.fullmatch(r"headrace-[a-z0-9-]+", code):
            assert f'"{code}"' in "".join(map(text_of, LAYERS)), f"{name(page)}: {code}"


def test_commands_that_the_code_recommends_exist():
    for path, code in recommended():
        command, *words = code.split()
        assert command in COMMANDS, f"{path}: {code}"
        known = options(command, *words)
        for option in (word.rstrip(".,:;") for word in words if word.startswith("--")):
            assert option in known, f"{path}: {code}"


def recommended() -> Iterator[tuple[Path, str]]:
    """Yield the `headrace …` that stand between back quotes in the program's texts."""
    for layer in LAYERS:
        for path in (ROOT / layer).rglob("*.py"):
            for code in re.findall(r"`headrace ([a-z][^`{]+)`", path.read_text()):
                yield path, code


def command_lines(page: Path) -> Iterator[list[str]]:
    """Yield the words behind `headrace` of each command line in the blocks of a page."""
    for block in blocks(page):
        if block.language in ("sh", "console"):
            text = block.text.replace("\\\n", " ")
            for line in text.splitlines():
                for part in re.split(r"\s(?:\||&&|;|>|&)\s?", line.removeprefix("$ ")):
                    words = shlex.split(part, comments=True)
                    if words and words[0] == "headrace":
                        yield words[1:]


def understood(words: list[str]) -> bool:
    """Return whether a command takes these words; those of a benchmark go to its own parser."""
    try:
        parser_of(words[0]).parse_args(words[1:])
        if words[0] == "bench" and len(words) > 1 and words[1] in BENCHMARKS:
            parser_of(words[0], words[1]).parse_args(words[2:])
    except SystemExit as end:
        return end.code == 0
    return True


def options(command: str, *words: str) -> set[str]:
    """Return the options of a command; of a benchmark or a tool where one is named."""
    benchmark = words[0] if command == "bench" and words and words[0] in BENCHMARKS else ""
    parser = parser_of(command, benchmark)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) and words:
            parser = action.choices.get(words[0], parser)
    return {o for action in parser._actions for o in action.option_strings}


@cache
def parser_of(command: str, benchmark: str = "") -> argparse.ArgumentParser:
    parser = Parser(prog=f"headrace {command}")
    module = BENCHMARKS[benchmark] if benchmark else COMMANDS[command][0]
    importlib.import_module(module).add_arguments(parser)
    return parser


@cache
def text_of(directory: str) -> str:
    """Return the text of all programs below a directory, migrations included."""
    files = (ROOT / directory).rglob("*")
    return "".join(path.read_text() for path in files if path.suffix in (".py", ".sql"))
