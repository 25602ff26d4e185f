"""Answers to requests: what the engine could not use is set aside; they may be long."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from connectors.market.events import AnswerDecoder
from tests.connectors.market.batches import messages

GARCH: dict[str, Any] = {"mu": 0.0, "omega": 1e-4, "alpha": 0.1, "beta": 0.8}
WEIGHTS: dict[str, Any] = {
    "weights": {"A": 0.25, "B": 0.75},
    "solver": "clarabel",
    "shrinkage": None,
    "notes": [],
}


def said(model: str, output: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": f"{model}|portfolio:P|1|ab", "ts_ns": 2, "model": model, "scope": "portfolio:P",
        "status": "ok", "reason": "", "output": output, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    "answer",
    [
        said("garch", GARCH),
        said("weights", WEIGHTS),
        said("weights", {"weights": {f"S{i}": 1 / 4000 for i in range(9000)}}),
        said("weights", {"weights": {"a name of the settings, however long it is": 1.0}}),
        said("garch", {}, status="failed", reason="too few"),
    ],
)
def test_an_answer_is_taken_as_it_was_written(answer):
    block = AnswerDecoder().decode(messages([orjson.dumps(answer)]))
    assert [event.body for event in block.rows] == [answer]
    assert block.dead == []


@pytest.mark.parametrize(
    "answer",
    [
        said("garch", GARCH | {"mu": "0"}),
        said("garch", GARCH | {"gamma": 0.1}),
        said("garch", {}),
        said("garch", GARCH, id="weights|portfolio:P|1|ab"),
        said("weights", {"weights": {}}),
        said("weights", {"weights": {"A": None}}),
        said("weights", GARCH),
        said("oracle", {}),
    ],
)
def test_an_answer_that_does_not_say_what_was_asked_is_a_dead_letter(answer):
    block = AnswerDecoder().decode(messages([orjson.dumps(answer)]))
    assert block.rows == []
    assert [letter.error for letter in block.dead] == ["WrongType"]
