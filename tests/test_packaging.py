"""The wheel holds one top-level package and runs; the locks are whole and name no address."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-uv.lock")
LAYERS = ("state", "operators", "connectors", "flows", "replay", "benchmarks")
SHOW = """
import os, sys
import headrace
sys.argv = ["headrace", "--help"]
try:
    headrace.main()
finally:
    import state.errors
    inherited = os.environ["PYTHONPATH"].split(os.pathsep)
    print(state.errors.__file__, sys.path[0], inherited[0], sep="\\n")
"""


def run(*command: str, cwd: Path = ROOT, env: dict[str, str] | None = None) -> str:
    """Return what the command wrote, having asserted that it succeeded."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, without what it depends on."""
    home = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(home, with_pip=False)
    pip = (sys.executable, "-m", "pip", "--quiet", "--python", str(home / "bin/python"))
    run(*pip, "install", "--no-deps", "--no-index", str(wheel))
    return home


def environment() -> dict[str, str]:
    """What the wheel depends on comes from here; an editable install is not found that way."""
    return {**os.environ, "PYTHONPATH": sysconfig.get_path("purelib")}


def test_a_wheel_adds_one_package_to_site_packages(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {"headrace", "headrace-0.1.0.dist-info"}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="git knows the files, and is not here")
def test_a_wheel_holds_every_file_of_the_layers(wheel: Path) -> None:
    tracked = run("git", "ls-files", *LAYERS).split()
    wanted = {f"headrace/_app/{path}" for path in tracked if (ROOT / path).exists()}
    assert wanted <= set(zipfile.ZipFile(wheel).namelist())


def test_an_installed_wheel_runs(installed: Path) -> None:
    told = run(str(installed / "bin/headrace"), "--help", env=environment(), cwd=installed)
    assert "demo" in told


def test_an_installed_wheel_shows_its_layers_to_itself_and_its_children(installed: Path) -> None:
    told = run(str(installed / "bin/python"), "-c", SHOW, env=environment(), cwd=installed)
    module, first, inherited = told.split("\n")[-4:-1]
    (app,) = installed.glob("lib/python*/site-packages/headrace/_app")
    assert (Path(module), first, inherited) == (app / "state/errors.py", str(app), str(app))


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for layer in LAYERS for path in (ROOT / layer).rglob("*.py")}
    assert folders
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def locked(name: str) -> dict[str, str]:
    """Return what a lock says: package -> version."""
    entries = re.findall(
        r"^([\w.-]+)(?:\[[\w,]+\])?==(\S+)", (ROOT / name).read_text(), re.MULTILINE
    )
    return dict(entries)


def names(asked: Iterable[str]) -> set[str]:
    return {re.split(r"[^\w.-]", line)[0].lower() for line in asked}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_hashes_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    assert re.search(r"https?://|file:|--index|--find-links| @ ", text) is None
    entries = re.split(r"\n(?=\S)", "\n".join(lines))
    entries = [entry for entry in entries if entry.strip()]
    assert entries
    assert all(re.match(r"[\w.-]+(\[[\w,]+\])?==\S+ \\\n    --hash=sha256:", e) for e in entries)


def test_the_locks_hold_all_that_the_project_asks_for() -> None:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, groups = content["project"], content["dependency-groups"]
    runtime = chain(project["dependencies"], *project["optional-dependencies"].values())
    assert names([*runtime, *groups["setup"]]) <= set(locked("requirements.lock"))
    assert names(groups["dev"]) <= set(locked("requirements-dev.lock"))
    assert set(locked("requirements-uv.lock")) == {"uv"}


def test_the_demo_installs_no_tool_of_development() -> None:
    tools = {"hypothesis", "mypy", "playwright", "pytest", "riskfolio-lib", "ruff", "schemathesis"}
    assert tools <= set(locked("requirements-dev.lock"))
    assert tools & set(locked("requirements.lock")) == set()


def test_the_locks_agree() -> None:
    demo, development = locked("requirements.lock"), locked("requirements-dev.lock")
    both = demo.keys() & development.keys()
    assert both
    assert {name: demo[name] for name in both} == {name: development[name] for name in both}
