"""Visits are those of the reference, which was written from the definition alone."""

from __future__ import annotations

import os
import random

from connectors.hl7.message import Message
from operators.adt.visit import visit
from tests.operators.adt.histories import differs, history
from tests.operators.adt.tables import facts
from tests.reference.adt import timeline

HISTORIES = int(os.environ.get("HEADRACE_HISTORIES", "600"))
"""How many histories are compared: 100,000 by command take some minutes."""


def test_random_histories_are_those_of_the_reference():
    rng = random.Random(int(os.environ.get("HEADRACE_SEED", "1")))
    for number in range(HISTORIES):
        raws = history(rng)
        found = visit({fact for raw in raws for fact in facts(raw)})
        difference = differs(found, timeline(Message(raw) for raw in raws))
        assert not difference, f"history {number}: {difference}\n{raws}"
