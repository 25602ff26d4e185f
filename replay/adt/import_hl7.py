"""HL7 v2 messages, in files of any form, into adt.raw."""

from __future__ import annotations

import argparse
import sys
from zoneinfo import ZoneInfo

from replay import arguments
from replay.printing import print_recorded
from replay.progress import progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare FILE|DIR..., --out, --partitions, --plaintext and --json."""
    arguments.add_import(parser)


def run(args: argparse.Namespace) -> int:
    """Write the recording; warn of what is no message, and of batches that tell another number."""
    from connectors.adt.envelope import TOPIC
    from flows.adt.settings import Adt
    from flows.config import load_settings
    from replay.adt.hl7 import files_of, import_hl7
    from replay.keys import protection

    files = files_of(args.paths)
    protected = protection([TOPIC], plaintext=args.plaintext, makes_key=True)
    settings = load_settings(None).of(Adt)
    zone, domains = ZoneInfo(settings.timezone), settings.domains
    with progress("import", None) as advance:
        imported = import_hl7(files, args.out, args.partitions, protected, zone, domains, advance)
    print_recorded(args.out, imported.records, as_json=args.json)
    for path, miscount in imported.miscounts:
        told = f"tells {miscount.told:,} and holds {miscount.found:,}"
        print(f"{path}: a batch, or a file of batches, {told}", file=sys.stderr)
    if imported.no_messages:
        count = f"{imported.no_messages:,} records are no message"
        print(f"{count}: a replay makes them dead letters", file=sys.stderr)
    return 0
