"""Logging to stderr: one line each, UTC, without secrets."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TextIO

_FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)s {who}%(name)s: %(message)s"


class _OneLine(logging.Formatter):
    converter = time.gmtime  # type: ignore[assignment]  # typeshed wants None to be allowed

    def __init__(self, who: str, secrets: Sequence[str]) -> None:
        super().__init__(_FORMAT.format(who=who), "%Y-%m-%dT%H:%M:%S")
        self._secrets = sorted(secrets, key=len, reverse=True)

    def formatException(self, ei: object) -> str:  # noqa: N802  # the name is logging's
        text = super().formatException(ei)  # type: ignore[arg-type]  # logging's own tuple
        return "\n" + text if logging.getLogger().isEnabledFor(logging.DEBUG) else ""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        for secret in self._secrets:
            text = text.replace(secret, "********")
        if logging.getLogger().isEnabledFor(logging.DEBUG):
            return text
        return " ".join(text.split("\n")).rstrip()


def set_up(stream: TextIO, secrets: Sequence[str], *, debug: bool = False, who: str = "") -> None:
    """Send all logs to ``stream``; tracebacks, over several lines, at debug level only.

    Every occurrence of a text of ``secrets`` is masked.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_OneLine(who, secrets))
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.INFO, handlers=[handler], force=True
    )
