"""Access decisions as JSON lines on the logger ``headrace.access``; never a token."""

from __future__ import annotations

import logging
from typing import TypedDict

import orjson

from state.metrics import FEED_REFUSED

LOGGER = logging.getLogger("headrace.access")


class Decision(TypedDict):
    """One line of the log: who, from where, what, and why not."""

    sub: str
    address: str
    what: str
    allowed: bool
    reason: str


def allowed(subject: str, address: str, what: str) -> None:
    """Log that ``subject`` got ``what``."""
    _log(Decision(sub=subject, address=address, what=what, allowed=True, reason=""))


def refused(subject: str, address: str, what: str, code: str, reason: str) -> None:
    """Log and count that ``subject`` ('' where nobody knows) did not get ``what``.

    ``code`` is one of a few words, the metric's label; ``reason`` holds no secret.
    """
    FEED_REFUSED.labels(code).inc()
    _log(Decision(sub=subject, address=address, what=what, allowed=False, reason=reason))


def _log(decision: Decision) -> None:
    level = logging.INFO if decision["allowed"] else logging.WARNING
    LOGGER.log(level, "%s", orjson.dumps(decision).decode())
