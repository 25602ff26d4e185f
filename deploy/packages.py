"""The packages of this checkout: uv installs them, or pip where uv cannot be had.

``.venv/bin/python deploy/packages.py install LOCK`` installs a lock, ``project`` Headrace itself
(editable), ``lock`` writes the locks. It needs Python and pip, nothing else; the Makefile calls it.

Packages come from where pip would take them: uv does not read pip's configuration, so what says
where packages are, and how to reach them, is handed on to it as variables.
"""

from __future__ import annotations

import ast
import os
import ssl
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = "requirements.lock"
DEVELOPMENT = "requirements-dev.lock"
INSTALLER = "requirements-uv.lock"
LOCKS = {
    # The later is constrained by the earlier: one environment holds both.
    RUNTIME: ["pyproject.toml", "--extra", "demo", "--group", "setup"],
    DEVELOPMENT: ["--group", "dev", "--constraints", RUNTIME],
    INSTALLER: ["--group", "uv"],
}
"""File -> what it is made of."""

SECTIONS = ("global", "install", ":env:")
"""Of pip's configuration, the stronger last."""

SAME = {
    "index-url": "UV_DEFAULT_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "retries": "UV_HTTP_RETRIES",
}
"""pip's option -> uv's variable, where both take the same text."""


def main(words: Sequence[str]) -> int:
    """Do what the words ask for; return the exit code."""
    command, *rest = words
    os.chdir(ROOT)
    if command == "lock":
        return write_locks(rest)
    arguments = ["--no-deps", "--no-build-isolation", "--editable", "."]
    if command == "install":
        arguments = ["--require-hashes", *(word for lock in rest for word in ("-r", lock))]
    # Whoever comes after an interrupted installation trusts nothing that it left.
    unfinished = Path(sys.prefix) / ".installing"
    if unfinished.exists():
        arguments.append("--force-reinstall")
    unfinished.touch()
    code = install(arguments)
    if code == 0:
        unfinished.unlink()
    return code


def install(arguments: list[str]) -> int:
    """Install by uv, or by pip; return the exit code."""
    failure = provide_uv()
    if not failure:
        done = uv("install", "--quiet", *arguments)
        if done.returncode == 0:
            return 0
        failure = last_line(done.stderr)
    print(f"Setting up: by pip, which takes some minutes, since uv failed ({failure})", flush=True)
    return subprocess.run([*pip(), "install", "--quiet", *arguments], check=False).returncode


def provide_uv() -> str:
    """Install uv as its lock says; return why it cannot be had, empty where it can."""
    done = run([*pip(), "install", "--quiet", "--require-hashes", "-r", INSTALLER], os.environ)
    return "" if done.returncode == 0 else last_line(done.stderr)


def write_locks(more: Sequence[str]) -> int:
    """Write the locks: names, versions and hashes, no address; ``--upgrade`` takes newer ones."""
    if failure := provide_uv():
        print(f"the locks are written by uv, which cannot be had: {failure}", file=sys.stderr)
        return 1
    options = ["--quiet", "--generate-hashes", "--custom-compile-command", "make lock"]
    # The oldest Python that we run on; the wheels are those for this machine's kind.
    options += ["--python-version", "3.11", *more]
    for name, sources in LOCKS.items():
        done = uv("compile", *options, *sources, "--output-file", name)
        if done.returncode != 0:
            print(done.stderr, file=sys.stderr)
            return done.returncode
    return 0


def for_uv(options: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which uv finds packages as pip does with these options.

    A variable of uv's own that is set already stays.
    """
    ours = {SAME[name]: value for name, value in options.items() if name in SAME}
    if further := options.get("extra-index-url", "").split():
        # To pip all indexes are equal; hashes say which file is the right one.
        ours |= {"UV_INDEX": " ".join(further), "UV_INDEX_STRATEGY": "unsafe-best-match"}
    if links := options.get("find-links", "").split():
        ours["UV_FIND_LINKS"] = ",".join(links)
    paths = ssl.get_default_verify_paths()
    if paths.cafile or paths.capath:  # as pip, which trusts whom the system trusts
        ours["UV_SYSTEM_CERTS"] = "true"
    ours["UV_PYTHON_DOWNLOADS"] = "never"
    theirs = dict(environment)
    if cert := options.get("cert"):
        theirs["SSL_CERT_DIR" if Path(cert).is_dir() else "SSL_CERT_FILE"] = cert
    if cert := options.get("client-cert"):
        theirs["SSL_CLIENT_CERT"] = cert
    if proxy := options.get("proxy"):
        theirs |= {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy}
    return ours | theirs


def pip_options() -> dict[str, str]:
    """Return pip's options from its files and variables, as it would use them to install."""
    told = run([*pip(), "config", "list"], os.environ).stdout
    return options_of(told)


def options_of(listed: str) -> dict[str, str]:
    """Return the options that ``pip config list`` printed, the strongest of each name."""
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in found:
            found[section][name] = str(ast.literal_eval(value))
    return {name: value for section in SECTIONS for name, value in found[section].items()}


def pip() -> list[str]:
    """Return the command of this environment's pip."""
    return [sys.executable, "-m", "pip"]


def uv(*words: str) -> subprocess.CompletedProcess[str]:
    """Run ``uv pip``, which takes packages from where pip would."""
    options = pip_options()
    alone = options.get("no-index", "").lower() in ("1", "true", "yes", "on")
    program = str(Path(sys.executable).with_name("uv"))
    command = [program, "pip", *words, "--python", sys.executable]
    return run([*command, *(["--no-index"] if alone else [])], for_uv(options, os.environ))


def run(command: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command that fails with an error and says why, even where it cannot be started."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    except OSError as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


def last_line(text: str) -> str:
    """Return the last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
