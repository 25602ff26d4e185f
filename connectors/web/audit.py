"""Access decisions as JSON lines on the logger ``headrace.access``; never a token."""

from __future__ import annotations

import logging
from collections import Counter
from typing import NotRequired, TypedDict

import orjson

from state.metrics import FEED_REFUSED

LOGGER = logging.getLogger("headrace.access")
INTERVAL_S = 10.0
"""How often the refusals that were counted are written."""
MAX_KINDS = 100
"""Kinds of refusals that are told apart in an interval."""
MAX_WHAT = 256
"""Characters of what was asked for that are logged: a channel may have thousands."""


class Decision(TypedDict):
    """One line of the log: who, from where, what, and why not; or ``count`` more like it."""

    sub: str
    address: str
    what: str
    allowed: bool
    reason: str
    count: NotRequired[int]


class Audit:
    """Writes what was allowed, and of what was refused the first of each kind in an interval.

    The others of a kind are counted: a client that is refused hundreds of times a second fills no
    disk. A kind is a subject, an address, the verb of what was asked for, and a code.
    """

    def __init__(self) -> None:
        self._first: dict[tuple[str, ...], Decision] = {}
        self._more: Counter[tuple[str, ...]] = Counter()

    def allowed(self, subject: str, address: str, what: str) -> None:
        """Log that ``subject`` got ``what``."""
        _log(Decision(sub=subject, address=address, what=what, allowed=True, reason=""))

    def refused(self, subject: str, address: str, what: str, code: str, reason: str) -> None:
        """Log or count that ``subject`` ('' where nobody knows) did not get ``what``.

        ``code`` is one of a few words, the metric's label; ``reason`` holds no secret.
        """
        FEED_REFUSED.labels(code).inc()
        kind = (subject, address, what.partition(" ")[0], code)
        if kind in self._first:
            self._more[kind] += 1
        elif len(self._first) >= MAX_KINDS:
            self._more["", "", "", code] += 1
        else:
            decision = Decision(
                sub=subject, address=address, what=what, allowed=False, reason=reason
            )
            self._first[kind] = decision
            _log(decision)

    def tell(self) -> None:
        """Log how many of each kind were not logged; the next of each is."""
        for kind, count in self._more.items():
            subject, address, verb, code = kind
            found = self._first.get(kind) or Decision(
                sub=subject, address=address, what=verb, allowed=False, reason=code
            )
            _log({**found, "count": count})
        self._first.clear()
        self._more.clear()


def _log(decision: Decision) -> None:
    level = logging.INFO if decision["allowed"] else logging.WARNING
    decision["what"] = decision["what"][:MAX_WHAT]
    LOGGER.log(level, "%s", orjson.dumps(decision).decode())
