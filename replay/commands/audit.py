"""``headrace audit``: prove that an audit file is as it was written, and show who read what."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from operators.audit import Verifier, record_hash
from state.errors import Misuse, NoKeys
from state.outputs import to_json

ACTIONS = """\
verify DIR|FILE...   prove that nobody altered the entries, up to the last
show FILE            print the reads of patient data in the gateway's audit, one a line
"""
AUDIT_FILE = "audit.jsonl"
AUDITED = ("decisions", "state")
"""Outputs of which every record has its entry, even where the file holds no entry of any."""


class Trouble(NamedTuple):
    """The first thing that is wrong: in which file, at which line (0: none), and what."""

    path: Path
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}{f':{self.line}' if self.line else ''}: {self.reason}"


@dataclass
class Checked:
    """What an audit file holds; ``records`` has the entry's number by output and record's hash."""

    verifier: Verifier = field(default_factory=Verifier)
    hashes: dict[str, int] = field(default_factory=dict)
    records: dict[str, dict[str, int]] = field(default_factory=dict)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what to do, and with which files."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = ACTIONS
    parser.add_argument("action", choices=["verify", "show"])
    parser.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="DIR|FILE",
        help=f"a directory of `headrace export` or `replay`, or {AUDIT_FILE} by itself",
    )
    parser.add_argument(
        "--head",
        action="append",
        default=[],
        type=_hash,
        metavar="HASH",
        help="the files must hold the entry with this hash; may be repeated",
    )
    parser.add_argument(
        "--person", metavar="ID", help="show: only what was read of this patient, or may have been"
    )
    parser.add_argument(
        "--fhir", action="store_true", help="show: AuditEvents of FHIR R4, one a line (NDJSON)"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file (TOML)")


def run(args: argparse.Namespace) -> int:
    """Print what each file holds; 1 at the first fault."""
    if args.action == "show":
        return _show(args)
    missing = set(args.head)
    for path in args.paths:
        checked = Checked()
        if trouble := _verify(path, checked):
            print(trouble)
            return 1
        missing -= checked.hashes.keys()
        _tell(path, checked)
    for head in sorted(missing):
        print(f"no entry has the hash {head}: the file that held it was cut off or rewritten")
    return 1 if missing else 0


def _show(args: argparse.Namespace) -> int:
    """Print the reads of a file up to its first fault; 1 where there is one."""
    # Only here: `verify` needs neither settings nor keys, and starts in a fraction of the time.
    from flows.config import load_settings  # noqa: PLC0415
    from replay.reads import concerns, told  # noqa: PLC0415
    from state.sealing import Seal  # noqa: PLC0415

    keyring = load_settings(args.config).sealing.keyring()
    seal = Seal(keyring) if keyring else None
    if args.person and seal is None:
        raise NoKeys("the names in an audit")
    for path in args.paths:
        verifier = Verifier()
        with _opened(path) as lines:
            for entry in verifier.read(lines):
                event = entry["what"]
                if event.get("resourceType") != "AuditEvent":
                    raise Misuse(f"{path} holds no reads: `headrace audit verify` is for it")
                if seal is None or not args.person or concerns(event, seal, args.person):
                    print(_resource(entry) if args.fhir else told(event, seal))
        if fault := verifier.fault:
            print(Trouble(path, fault.line, f"entry {fault.number or '?'}: {fault.reason}"))
            return 1
    return 0


def _resource(entry: dict[str, Any]) -> str:
    """Return the AuditEvent of an entry, by whose hash it is found again in the file.

    A reason stays sealed, for a repository of audits is read by others.
    """
    return to_json(entry["what"] | {"id": entry["hash"]}).decode()


def _opened(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise Misuse(f"cannot read {file}: {error.strerror}") from error


def _verify(path: Path, checked: Checked) -> Trouble | None:
    """Check a file, or a directory with its records; fills ``checked``."""
    file = path / AUDIT_FILE if path.is_dir() else path
    if trouble := _chain(file, checked):
        return trouble
    return _records(path, checked) if path.is_dir() else None


def _chain(file: Path, checked: Checked) -> Trouble | None:
    with _opened(file) as lines:
        for entry in checked.verifier.read(lines):
            checked.hashes[entry["hash"]] = entry["number"]
            output, digest = entry["what"].get("output"), entry["what"].get("sha256")
            if isinstance(output, str) and isinstance(digest, str):
                checked.records.setdefault(output, {})[digest] = entry["number"]
    fault = checked.verifier.fault
    if fault is None:
        return None
    return Trouble(file, fault.line, f"entry {fault.number or '?'}: {fault.reason}")


def _records(directory: Path, checked: Checked) -> Trouble | None:
    """Check that every record has its entry, and every entry its record."""
    for output in sorted({*checked.records, *AUDITED}):
        file = directory / f"{output}.jsonl"
        entries = dict(checked.records.get(output, {}))
        if not file.exists():
            if entries:
                return Trouble(file, 0, f"missing, with the records of {len(entries)} entries")
            continue
        with file.open("rb") as lines:
            if trouble := _match(file, lines, entries):
                return trouble
    return None


def _match(file: Path, lines: Iterable[bytes], entries: dict[str, int]) -> Trouble | None:
    for number, line in enumerate(lines, start=1):
        whole = line.endswith(b"\n")
        if not whole or entries.pop(record_hash(line[:-1]), None) is None:
            return Trouble(file, number, "no entry is of this record: it was altered or added")
    if entries:
        first = min(entries.values())
        return Trouble(file, 0, f"the record of entry {first} is missing")
    return None


def _tell(path: Path, checked: Checked) -> None:
    count = sum(map(len, checked.records.values()))
    against = f", {count} records with them" if path.is_dir() else ""
    print(f"{path}: {checked.verifier.entries} entries{against}")
    for chain, head in sorted(checked.verifier.heads.items()):
        print(f"  chain {chain} ends with entry {head.number}, {head.hash}")


def _hash(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError("must be 64 hexadecimal digits")
    return text
