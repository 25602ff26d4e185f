"""``headrace feed``: WebSocket, REST and the page, until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys

from flows import config
from flows.config import add_config_argument, load_settings
from flows.engine import logs
from flows.feed import gateway


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --config and --debug."""
    parser.add_argument("--debug", action="store_true", help="log tracebacks too")
    add_config_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Serve; SIGTERM and SIGINT say goodbye to the clients and end it."""
    settings = load_settings(args.config)
    logs.set_up(sys.stderr, config.secrets(settings), debug=args.debug, who="feed ")
    # It says each request at INFO, and the workers' metrics are asked for every second.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    # uvicorn ends by these signals and then raises them again, for whoever had them before.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    asyncio.run(gateway.serve(settings, lambda url: print(f"feed: {url}", flush=True)))
    return 0
