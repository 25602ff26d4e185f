"""The models flow: fits and target weights that the market flow asks for, computed beside it.

A solver runs as long as it takes; ticks do not wait for it (flows/engine/answering.py).
"""

from __future__ import annotations

import numpy as np
from bytewax.dataflow import Dataflow

from flows.engine.answering import Answering
from flows.engine.standalone import standalone
from flows.market.settings import MODELS
from operators.market.models import answer, check, garch_request, weights_request
from operators.market.optimisers.choose import OBJECTIVES

SYSTEM = "models"
REQUESTS = "market.requests"

ANSWERING = Answering(SYSTEM, REQUESTS, MODELS, check, answer)
build = ANSWERING.build
inputs = ANSWERING.inputs


def flow() -> Dataflow:
    """Return the flow for ``python -m bytewax.run flows.market.models``, without a supervisor."""
    return standalone(SYSTEM)


def warm_up() -> None:
    """Load every solver by using each once, so that no request waits for that."""
    moves = np.sin(np.arange(200.0) ** 2) * 0.01
    answer(garch_request("warm", 0, 0, moves))
    for objective in OBJECTIVES:
        answer(weights_request("warm", 0, 0, objective, {"A": moves, "B": moves[::-1]}, {}))
