"""Take in HL7 v2 over MLLP: store each message in Kafka, then answer.

With --send it is the other side: it sends the messages of files to a listener.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from connectors.hl7.files import contents
from connectors.mllp.listener import client_context
from connectors.mllp.sender import Sender
from flows import config
from flows.adt.listening import serve
from flows.adt.mllp_settings import Mllp
from flows.config import add_config_argument, load_settings
from flows.engine import logs
from flows.settings.settings import Settings
from state.clock import NS
from state.errors import HeadraceError, Misuse

MARGIN_S = 5.0
"""How much longer than a listener waits for Kafka a sender waits for the listener."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --send, --config and --debug."""
    parser.add_argument(
        "--send",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="send the messages of files to mllp.host and mllp.port instead",
    )
    parser.add_argument("--debug", action="store_true", help="log tracebacks too")
    add_config_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; or send, and return 0 where all was accepted."""
    settings = load_settings(args.config)
    if args.send:
        return _send(args.send, settings.of(Mllp))
    logs.set_up(sys.stderr, config.secrets(settings), debug=args.debug, who="mllp ")
    asyncio.run(_serve(settings))
    return 0


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()

    def ready(url: str) -> None:
        # Before it listens there is nothing to drain: a signal ends it at once.
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        print(f"mllp: {url}", flush=True)

    await serve(settings, stop, ready)


def _send(paths: list[Path], table: Mllp) -> int:
    messages, unusable = _messages(paths)
    made = sender(table)
    try:
        made.send(messages)
    except HeadraceError as error:
        print(f"headrace: ingest: {error}", file=sys.stderr)
    sent = made.sent
    left = len(messages) - sent.accepted - sent.refused
    print(
        f"{sent.accepted} accepted, {sent.refused} refused, {left} not taken"
        + (f"; {unusable} parts of the files are no messages" if unusable else "")
    )
    return 0 if sent.accepted == len(messages) and not unusable else 1


def sender(table: Mllp) -> Sender:
    """Return what sends to the listener of these settings, and prints what is refused."""
    tls = client_context(table.tls_certificate, table.tls_key, table.tls_ca)
    patience_s = table.ack_timeout / NS + MARGIN_S
    return Sender((table.host, table.port), patience_s, _report, tls)


def _messages(paths: list[Path]) -> tuple[list[bytes], int]:
    """Return the messages of files, in order, and how much in them is none."""
    messages: list[bytes] = []
    unusable = 0
    for path in paths:
        try:
            found = contents(path.read_bytes())
        except OSError as error:
            raise Misuse(f"cannot read {path}: {error.strerror}") from None
        messages += found.messages
        unusable += len(found.dead)
    return messages, unusable


def _report(number: int, code: str, condition: str) -> None:
    print(f"message {number}: {code} {condition}".rstrip())
