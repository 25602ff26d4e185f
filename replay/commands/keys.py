"""``headrace keys``: make, list and rotate keys, and open sealed files."""

from __future__ import annotations

import argparse
import base64
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from flows.config import add_config_argument, load_settings
from flows.engine.systems import declared_outputs
from flows.keys import make_key_file, write_key_file
from state.disk import put_in_place
from state.errors import CannotUnseal, Misuse
from state.key_file import VARIABLE, key_file
from state.outputs import DEAD, to_json
from state.sealing import (
    HEAD_BYTES,
    Keyring,
    Seal,
    closing_key,
    is_envelope,
    letter_purpose,
)

ACTIONS = f"""\
init           write the key file that commands find by themselves ({VARIABLE})
new FILE       write a key file that nobody else may read
list [FILE]    list the ids of a key file's keys, or of the settings' keys
rotate FILE... add a key to a key file, which seals from the next start on; seal the data keys of
               recordings, the lines of .jsonl files and tables of codes with the newest key; with
               --system what a flow keeps, too
count FILE...  count what still names a former key, an audit of reads as well, and change nothing;
               exit code 0 for nothing
open FILE      print the lines of a sealed file (of replay or export) in clear
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what to do, and with which file."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = ACTIONS
    parser.add_argument("action", choices=["init", "new", "list", "rotate", "count", "open"])
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    parser.add_argument(
        "--output", metavar="SYSTEM.OUTPUT", help="what FILE holds, where its name does not say so"
    )
    parser.add_argument(
        "--system", help="what this flow keeps in snapshots, Redis, PostgreSQL and topics"
    )
    add_config_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Do it. No key is ever printed."""
    if args.action in ("rotate", "count"):
        return _rotate_all(args)
    if len(args.files) > 1:
        raise Misuse(f"{args.action} takes one FILE")
    file = args.files[0] if args.files else None
    if args.action == "list":
        _list(Keyring.parse(_read(file)) if file else _keyring(args))
    elif args.action == "init":
        _init()
    elif file is None:
        raise Misuse(f"{args.action} needs a FILE")
    elif args.action == "new":
        _new(file)
    else:
        _open(args, file)
    return 0


def _new(path: Path) -> None:
    try:
        write_key_file(path, Keyring.generate())
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise Misuse(f"cannot write {path}: {error.strerror}") from None
    print(f"{path} holds the key k1: set HEADRACE_SEALING__KEYS_FILE={path}, and keep a copy")


def _exists(path: Path) -> Misuse:
    return Misuse(f"{path} exists: `headrace keys rotate {path}` adds a key to it")


def _init() -> None:
    path = make_key_file()
    if path is None:
        raise _exists(key_file())
    print(f"{path} holds the key k1, and commands find it there: keep a copy")


def _rotate_all(args: argparse.Namespace) -> int:
    """Rotate key files, then what they have sealed; 1 where some of it names a former key."""
    if not args.files and not args.system:
        raise Misuse(f"{args.action} needs a FILE, or --system")
    reseals = args.action == "rotate"
    found = _Found()
    for path in args.files:
        _sort(args, path, found)
    for path in found.others:
        _rotate(path) if reseals else _refuse_key_file(path)
    if len(found.others) == len(args.files) and not args.system:
        return 0
    from replay.rotation import Rotation  # noqa: PLC0415 - Arrow, Redis and PostgreSQL

    rotation = Rotation(Seal(_keyring(args)), reseals=reseals)
    rotation.recordings(found.recordings)
    rotation.files(found.lines)
    rotation.tables(found.tables)
    rotation.audits(found.audits)
    if args.system:
        rotation.system(args.system, load_settings(args.config))
    return rotation.said()


class _Found:
    """Files by what they are; some with the topic or the purpose of what they hold."""

    def __init__(self) -> None:
        self.recordings: list[Path] = []
        self.lines: dict[Path, str] = {}
        self.tables: dict[Path, str] = {}
        self.audits: list[Path] = []
        self.others: list[Path] = []


def _sort(args: argparse.Namespace, path: Path, found: _Found) -> None:
    from replay.reads import is_audit  # noqa: PLC0415 - the feed's parts

    begins = _begins(path)
    if begins.startswith(b"PAR1"):
        found.recordings.append(path)
    elif closing_key(begins):
        found.tables[path] = args.output or path.name
    elif path.suffix != ".jsonl":
        found.others.append(path)
    elif is_audit(_first_line(path)):
        found.audits.append(path)
    else:
        found.lines[path] = _topic(args, path)


def _refuse_key_file(path: Path) -> None:
    raise Misuse(f"{path} is no recording, no .jsonl file and not sealed: nothing to count")


def _begins(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError as error:
        raise Misuse(f"cannot read {path}: {error.strerror}") from None


def _first_line(path: Path) -> bytes:
    return next((line for _, line in _lines(path)), b"")


def _rotate(path: Path) -> None:
    keyring = Keyring.parse(_read(path)).rotated()
    draft = path.with_name(path.name + ".draft")
    try:
        write_key_file(draft, keyring)
        put_in_place(draft, path)
    except FileExistsError:
        raise Misuse(f"{draft} is left from a rotation that was cut off: remove it") from None
    except OSError as error:
        raise Misuse(f"cannot write {path}: {error.strerror}") from None
    print(f"{keyring.active} seals once the flows are started again with this file; start those "
          "that read first")  # fmt: skip


def _list(keyring: Keyring) -> None:
    for name in keyring.keys:
        print(f"{name}  active" if name == keyring.active else name)


def _open(args: argparse.Namespace, path: Path) -> None:
    seal = Seal(_keyring(args))
    topic = _topic(args, path)
    opened = _letters(seal, topic) if topic.endswith(f".{DEAD}") else _records(seal, topic)
    for number, line in _lines(path):
        try:
            sys.stdout.write(opened(line).decode() + "\n")
        except (CannotUnseal, Misuse, ValueError) as error:
            raise Misuse(f"line {number} of {path}: {error}") from None


def _topic(args: argparse.Namespace, path: Path) -> str:
    """Return the topic of what a file holds: --output, or of the one that has the file's name."""
    secret = [output for output in declared_outputs() if output.secret]
    named = {each.topic for each in secret if each.name == path.stem}
    named |= {f"{each.system}.{DEAD}" for each in secret if path.stem == DEAD}
    topic = args.output or (named.pop() if len(named) == 1 else "")
    if topic.count(".") != 1:
        raise Misuse(f"say what {path} holds: --output SYSTEM.OUTPUT")
    return str(topic)


def _records(seal: Seal, topic: str) -> Callable[[bytes], bytes]:
    def opened(line: bytes) -> bytes:
        fields = orjson.loads(line)
        if not is_envelope(fields):
            raise Misuse("is not sealed")
        return seal.unseal_fields(topic, fields)

    return opened


def _letters(seal: Seal, topic: str) -> Callable[[bytes], bytes]:
    purpose = letter_purpose(topic.removesuffix(f".{DEAD}"))

    def opened(line: bytes) -> bytes:
        letter = orjson.loads(line)
        if not isinstance(letter, dict) or not letter.pop("sealed", False):
            raise Misuse("is not sealed")
        for name in ("key", "value"):
            if letter.get(name) is not None:
                content = seal.open(base64.b64decode(letter[name]), purpose)
                letter[name] = base64.b64encode(content).decode()
        return to_json(letter)

    return opened


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            yield from enumerate(file, 1)
    except OSError as error:
        raise Misuse(f"cannot read {path}: {error.strerror}") from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misuse(f"cannot read {path}: {error}") from None


def _keyring(args: argparse.Namespace) -> Keyring:
    keyring = load_settings(args.config).sealing.keyring()
    if keyring is None:
        raise Misuse(f"there are no keys: set HEADRACE_SEALING__KEYS_FILE or {VARIABLE}")
    return keyring
