"""Which trades count: the filter on trade conditions."""

from __future__ import annotations

import numpy as np

from operators.market.operator import Stateless
from operators.market.work import Work
from operators.outputs import Outbox
from state.market.ticks import TRADE


def is_excluded(condition: str, words: frozenset[str], bits: int) -> bool:
    """Return whether a trade with this condition must not count.

    The condition is words split at ':'. One of ``words`` excludes it, and so does a word of
    hexadecimal digits that has one of ``bits``.

    >>> is_excluded("suspicious:2000", frozenset({"suspicious"}), 0)
    True
    >>> is_excluded("2000", frozenset(), 0x2000)
    True
    """
    for word in condition.split(":"):
        if word in words:
            return True
        if (
            bits
            and word
            and all(c in "0123456789abcdefABCDEF" for c in word)
            and int(word, 16) & bits
        ):
            return True
    return False


class Conditions(Stateless):
    """Marks the kept trades whose conditions let them count."""

    name = "conditions"

    def __init__(self, excluded: tuple[str, ...], bits: int) -> None:
        self._words = frozenset(excluded)
        self._bits = bits

    def process(self, work: Work, outbox: Outbox) -> None:
        """Set ``work.counts``."""
        block = work.block
        work.counts = work.keep & (block.kind == TRADE)
        excluded = [is_excluded(c, self._words, self._bits) for c in block.conditions]
        if any(excluded):
            work.counts &= ~np.array([*excluded, False])[block.condition]
