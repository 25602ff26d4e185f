"""Which trades count: the filter on trade conditions."""

from __future__ import annotations

import numpy as np

from operators.market.operator import Stateless
from operators.market.work import Work
from operators.outputs import Outbox
from state.market.ticks import TRADE


def has_condition(condition: str, words: frozenset[str], bits: int) -> bool:
    """Return whether a trade's condition has one of ``words`` or ``bits``.

    The condition is words split at ':'; the bits are those of a word of hexadecimal digits.

    >>> has_condition("suspicious:2000", frozenset({"suspicious"}), 0)
    True
    >>> has_condition("2000", frozenset(), 0x2000)
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
        excluded = [has_condition(c, self._words, self._bits) for c in block.conditions]
        if any(excluded):
            work.counts &= ~np.array([*excluded, False])[block.condition]
