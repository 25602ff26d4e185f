"""Write the tables of a replay or an export without what tells whose they are.

``adt.deidentify`` says how: safe_harbor or pseudonymised. DIR is what `headrace replay adt` or
`headrace export adt` wrote, sealed or in clear.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from connectors.adt.codes import Pseudonyms, kept_codes
from flows.adt.settings import Adt
from flows.config import add_config_argument, load_settings
from operators.adt.deidentify import Deidentifier, Row, counts
from replay import arguments
from replay.files import Written, table_lines
from replay.printing import print_written
from state.adt.outputs import OUTPUTS
from state.clock import NS, now_ns
from state.errors import CannotUnseal, Misuse
from state.key_file import key_file
from state.outputs import Output, to_json
from state.sealing import Seal, is_envelope

if TYPE_CHECKING:
    from flows.settings.settings import Settings

CODES = "adt.codes"
"""Where codes are kept, beside the key file."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare DIR, --out and --codes."""
    parser.add_argument("directory", metavar="DIR", type=Path, help="what replay or export wrote")
    arguments.add_out_directory(parser)
    parser.add_argument(
        "--codes",
        type=Path,
        metavar="FILE",
        help=f"the sealed table of random codes ({CODES} beside the key file)",
    )
    add_config_argument(parser)
    arguments.add_json(parser, "the files")


def run(args: argparse.Namespace) -> int:
    """Write a file for each output that may leave, and the counts of visits."""
    settings = load_settings(args.config)
    _make_empty(args.out)
    seal = _seal(settings)
    tables = {
        output.name: list(_rows(path, output, seal))
        for output in OUTPUTS
        if (path := args.directory / "tables" / f"{output.name}.jsonl").is_file()
    }
    if not tables:
        raise Misuse(f"{args.directory} has no tables of adt: replay or export writes them")
    found = _deidentified(settings.of(Adt), tables, seal, args.codes)
    found["counts"] = counts(found)
    written = [_write(args.out, name, rows) for name, rows in found.items()]
    print_written(written, as_json=args.json)
    return 0


def _make_empty(path: Path) -> None:
    """Make a directory where there is none. Raises Misuse where it holds anything.

    A file of a former release would be taken for one of this.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        filled = any(path.iterdir())
    except OSError as error:
        raise Misuse(f"cannot write {path}: {error.strerror}") from None
    if filled:
        raise Misuse(f"{path} is not empty: name a new directory for --out")


def _deidentified(
    table: Adt, tables: dict[str, list[Row]], seal: Seal, path: Path | None
) -> dict[str, list[Row]]:
    """Return what may leave. Random codes rest on the disk before they are in a file."""
    year = datetime.fromtimestamp(now_ns() / NS, UTC).year
    if table.deidentify == "":
        raise Misuse("set adt.deidentify to safe_harbor or pseudonymised")
    if table.deidentify == "pseudonymised":
        names = Pseudonyms(seal, table.deidentify_days)
        return Deidentifier("pseudonymised", names, tables, year, table.small_zip3).tables()
    with kept_codes(path or key_file().with_name(CODES), seal) as codes:
        return Deidentifier("safe_harbor", codes, tables, year, table.small_zip3).tables()


def _seal(settings: Settings) -> Seal:
    keyring = settings.sealing.keyring()
    if keyring is None:
        raise Misuse("codes are sealed and there is no key: make one with `headrace keys init`")
    return Seal(keyring)


def _rows(path: Path, output: Output, seal: Seal) -> Iterator[Row]:
    """Yield the rows of a table, opened where it is sealed."""
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            fields: dict[str, Any] = orjson.loads(line)
            if not is_envelope(fields):
                yield fields
                continue
            record = seal.unseal_fields(output.topic, fields)
        except (orjson.JSONDecodeError, CannotUnseal) as error:
            raise Misuse(f"line {number} of {path}: {error}") from None
        yield from map(orjson.loads, table_lines(output, record))


def _write(directory: Path, name: str, rows: list[Row]) -> Written:
    path = directory / f"{name}.jsonl"
    data = b"".join(to_json(row) + b"\n" for row in rows)
    path.write_bytes(data)
    return Written(path.name, len(rows), hashlib.sha256(data).hexdigest())
