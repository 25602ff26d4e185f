"""FHIR R4 resources, in Bundles or NDJSON, into adt.raw as HL7 messages."""

from __future__ import annotations

import argparse
import sys

from replay import arguments
from replay.printing import print_recorded
from replay.progress import progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare FILE|DIR..., --out, --partitions, --plaintext and --json."""
    arguments.add_import(parser)


def run(args: argparse.Namespace) -> int:
    """Write the recording; say which types were left out."""
    from connectors.adt.envelope import TOPIC
    from replay.adt.fhir import import_fhir
    from replay.adt.hl7 import files_of
    from replay.keys import protection

    files = files_of(args.paths)
    protected = protection([TOPIC], plaintext=args.plaintext, makes_key=True)
    with progress("import", None) as advance:
        imported = import_fhir(files, args.out, args.partitions, protected, advance)
    print_recorded(args.out, imported.records, as_json=args.json)
    for kind, count in sorted(imported.ignored.items()):
        print(f"{count:,} of the type {kind} are not taken", file=sys.stderr)
    return 0
