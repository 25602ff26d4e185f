"""The command line: ``headrace COMMAND …``.

Exit codes: 0 done, 1 failed, 2 misuse. What the user can mend is one line on stderr.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn, Protocol, cast

from state.errors import HeadraceError, Misuse

COMMANDS = {
    "demo": ("flows.commands.demo", "everything on one machine: servers, a stream, the flow"),
    "run": ("flows.commands.run", "run a system, or a flow of your own, until told to stop"),
    "feed": ("flows.commands.feed", "serve WebSocket, REST and the page to live readers"),
    "ingest": ("flows.commands.ingest", "listen for messages; answer once Kafka has stored them"),
    "replay": ("replay.commands.replay", "run a system over recordings, without any server"),
    "record": ("replay.commands.record", "write what topics hold into a recording"),
    "publish": ("replay.commands.publish", "write recordings back into Kafka"),
    "export": ("replay.commands.export", "write what the live sinks hold, as replay does"),
    "deidentify": ("replay.commands.deidentify", "write tables without what tells whose they are"),
    "import": ("replay.commands.import_", "turn real-world files into a recording"),
    "simulate": ("replay.commands.simulate", "write a recording of made-up events of a system"),
    "try": ("replay.commands.try_", "run cases: messages, and the tables they have to give"),
    "cut": ("replay.commands.cut", "take a span of time out of a recording"),
    "diff": ("replay.commands.diff", "compare two replays"),
    "report": ("replay.commands.report", "draw what a replay or an export holds, as a page"),
    "audit": ("replay.commands.audit", "prove that nobody altered an audit; show who read what"),
    "heartbeat": ("flows.commands.heartbeat", "write time records for idle partitions"),
    "dead": ("flows.commands.dead", "list, show and retry dead letters"),
    "state": ("flows.commands.state", "show what a flow knows about one key"),
    "warm": ("flows.commands.warm", "compile all kernels now, so that no run waits for it"),
    "config": ("flows.commands.config", "show the settings in force and where each came from"),
    "check": ("flows.commands.check", "say what is wrong with settings, servers and topics"),
    "schemas": ("flows.commands.schemas", "write the schemas of outputs, REST and the feed anew"),
    "keys": ("replay.commands.keys", "make and rotate the keys of secret outputs; open files"),
    "bench": ("benchmarks.commands.bench", "measure every number that we claim"),
}
"""Name -> (module, help). Higher layers are found by name: nothing here imports upward."""


class Command(Protocol):
    """What the module of a command offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do the work; return the exit code."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, with the place to look."""

    def error(self, message: str) -> NoReturn:
        """Exit with 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read, such as `head`, has enough; Python must not find that out at its end too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return code


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(_usage())
        return 0 if words else 2
    name, *rest = words
    if name not in COMMANDS:
        return _fail(f"there is no command {name!r}; `headrace --help` lists them", 2)
    try:
        command = cast(Command, importlib.import_module(COMMANDS[name][0]))
        parser = Parser(prog=f"headrace {name}", description=COMMANDS[name][1].capitalize() + ".")
        command.add_arguments(parser)
        return command.run(parser.parse_args(rest))
    except Misuse as error:
        return _fail(f"{name}: {error}", 2)
    except BrokenPipeError:
        raise
    except (HeadraceError, OSError) as error:
        return _fail(f"{name}: {error}", 1)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        ["usage: headrace COMMAND ...", "", *lines, "", "headrace COMMAND --help says more."]
    )


def _fail(message: str, code: int) -> int:
    print("headrace:", " ".join(message.split()), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
