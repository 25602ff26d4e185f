"""The set-up: where packages come from, uv or pip, and several makes in one tree."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
LISTED = """\
:env:.find-links='/wheels /more'
:env:.cert='/env.pem'
global.cert='/global.pem'
global.index-url='https://global.invalid/simple'
install.index-url='https://install.invalid/simple'
global.timeout='7'
freeze.timeout='9'
"""


@pytest.fixture(scope="module")
def packages() -> ModuleType:
    path = ROOT / "deploy/packages.py"
    spec = importlib.util.spec_from_file_location("packages", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_variable_of_pip_is_stronger_than_its_files(packages):
    assert packages.options_of(LISTED) == {
        "find-links": "/wheels /more",
        "cert": "/env.pem",
        "index-url": "https://install.invalid/simple",
        "timeout": "7",
    }


def test_uv_is_told_where_pip_finds_packages(packages):
    told = packages.for_uv(packages.options_of(LISTED), {"HOME": "/home"})
    assert told["UV_FIND_LINKS"] == "/wheels,/more"
    assert told["SSL_CERT_FILE"] == "/env.pem"
    assert told["UV_DEFAULT_INDEX"] == "https://install.invalid/simple"
    assert told["UV_HTTP_TIMEOUT"] == "7"
    assert told["HOME"] == "/home"


def test_what_uv_was_told_already_stays(packages):
    environment = {"UV_DEFAULT_INDEX": "https://uv.invalid/simple"}
    told = packages.for_uv({"index-url": "https://pip.invalid/simple"}, environment)
    assert told["UV_DEFAULT_INDEX"] == "https://uv.invalid/simple"


def test_a_folder_of_certificates_is_one_to_uv(packages, tmp_path):
    assert packages.for_uv({"cert": str(tmp_path)}, {})["SSL_CERT_DIR"] == str(tmp_path)


class Tree:
    """An environment that has pip, an index that has one wheel, and a lock that names it."""

    def __init__(self, folder: Path, *, uv: bool) -> None:
        self.folder = folder
        self.venv = folder / "venv"
        venv.create(self.venv, with_pip=False)
        self.lent = folder / "lent"
        self.lent.mkdir()
        self._lend("pip")
        if uv:
            self._lend("uv")
            (self.venv / "bin/uv").symlink_to(Path(sys.executable).with_name("uv"))
        self.wheel = self._make_wheel()
        digest = hashlib.sha256(self.wheel.read_bytes()).hexdigest()
        self.lock = folder / "tiny.lock"
        self.lock.write_text(f"tiny==1.0 --hash=sha256:{digest}\n")

    @property
    def module(self) -> Path:
        (site,) = self.venv.glob("lib/python*/site-packages")
        return site / "tiny.py"

    def install(self) -> subprocess.CompletedProcess[str]:
        environment = {
            **{name: value for name, value in os.environ.items() if name[:3] not in ("PIP", "UV_")},
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheel.parent),
            "PYTHONPATH": str(self.lent),
            "UV_CACHE_DIR": str(self.folder / "cache"),
        }
        command = [
            f"{self.venv}/bin/python",
            f"{ROOT}/deploy/packages.py",
            "install",
            str(self.lock),
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    def _lend(self, name: str) -> None:
        from importlib.metadata import distribution

        site = Path(str(distribution(name).locate_file("")))
        for path in site.glob(f"{name}*"):
            (self.lent / path.name).symlink_to(path)

    def _make_wheel(self) -> Path:
        path = self.folder / "index/tiny-1.0-py3-none-any.whl"
        path.parent.mkdir()
        about = "tiny-1.0.dist-info"
        files = {
            "tiny.py": "WHOLE = True\n",
            f"{about}/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
            f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        rows = []
        for name, text in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()
            rows.append(f"{name},sha256={digest.rstrip('=')},{len(text)}\n")
        with zipfile.ZipFile(path, "w") as wheel:
            for name, text in files.items():
                wheel.writestr(name, text)
            wheel.writestr(f"{about}/RECORD", "".join(rows) + f"{about}/RECORD,,\n")
        return path


@pytest.mark.parametrize("uv", [True, False])
def test_what_is_locked_is_installed_by_uv_or_by_pip_with_a_notice(tmp_path, uv):
    tree = Tree(tmp_path, uv=uv)
    done = tree.install()
    assert done.returncode == 0, done.stderr
    assert tree.module.read_text() == "WHOLE = True\n"
    assert ("by pip, which takes some minutes" in done.stdout) is not uv
    assert len(done.stdout.splitlines()) == (0 if uv else 1)


@pytest.mark.parametrize("uv", [True, False])
def test_an_installation_after_an_interrupted_one_trusts_nothing_of_it(tmp_path, uv):
    tree = Tree(tmp_path, uv=uv)
    assert tree.install().returncode == 0
    tree.module.unlink()  # uv shares the file with its cache
    tree.module.write_text("WHO")
    (tree.venv / ".installing").touch()
    done = tree.install()
    assert done.returncode == 0, done.stderr
    assert tree.module.read_text() == "WHOLE = True\n"
    assert not (tree.venv / ".installing").exists()


@pytest.mark.parametrize("uv", [True, False])
def test_another_wheel_than_the_locked_one_is_refused(tmp_path, uv):
    tree = Tree(tmp_path, uv=uv)
    tree.lock.write_text(f"tiny==1.0 --hash=sha256:{'0' * 64}\n")
    done = tree.install()
    assert done.returncode != 0
    assert "hash" in (done.stdout + done.stderr).lower()
    assert not tree.module.exists()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A tree in which all that a demo needs is set up, by its stamps."""
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-uv.lock"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "deploy/kafka", tmp_path / "deploy/kafka")
    stamps = ("made", "locked", "headrace", "warm")
    for stamp in (*(f".venv/.{name}" for name in stamps), ".headrace/kafka/.jars"):
        (tmp_path / stamp).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / stamp).touch()
    return tmp_path


def make(tree: Path, *words: str) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    return subprocess.Popen(
        ["make", *words],
        cwd=tree,
        env=inherited,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_what_is_set_up_is_not_set_up_again(checkout):
    told, _ = (process := make(checkout, "setup")).communicate()
    assert (process.returncode, told) == (0, "")


def test_a_second_make_waits_for_the_first_and_says_so(checkout):
    with (checkout / ".headrace/setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = make(checkout, "setup")
        assert process.stdout is not None
        assert process.stdout.readline() == "Another make is setting up here: waiting\n"
        assert process.poll() is None
    assert process.wait() == 0
    assert process.stdout.read() == ""
    process.stdout.close()


def test_a_python_that_does_not_fit_is_told(checkout):
    (checkout / ".venv/.made").unlink()
    told, _ = (process := make(checkout, "setup", "PYTHON=")).communicate()
    assert process.returncode != 0
    assert "Python 3.11 or 3.12 is needed, and none was found" in told
