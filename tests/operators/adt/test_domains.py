"""Domains are those of the reference: merges, moves, beds and anomalies, by random histories."""

from __future__ import annotations

import os
import random

import pytest

from tests.operators.adt.domains import differs, history

HISTORIES = int(os.environ.get("HEADRACE_HISTORIES", "600"))
"""How many histories are compared: 100,000 by command take some minutes."""


@pytest.mark.timeout(900 + HISTORIES // 10)
def test_random_histories_are_those_of_the_reference():
    rng = random.Random(int(os.environ.get("HEADRACE_SEED", "1")))
    for number in range(HISTORIES):
        raws = history(rng)
        raws += rng.choices(raws, k=rng.randint(0, 2))
        rng.shuffle(raws)
        difference = differs(raws)
        assert not difference, f"history {number}: {difference}\n{raws}"
