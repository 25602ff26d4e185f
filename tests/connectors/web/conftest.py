"""What the tests of the feed share."""

from __future__ import annotations

import logging

import orjson
import pytest


@pytest.fixture
def log(caplog):
    """The decisions that were logged; no token may be among them."""
    caplog.set_level(logging.INFO, "headrace.access")

    def decisions() -> list[dict]:
        records = [r for r in caplog.records if r.name == "headrace.access"]
        return [orjson.loads(record.getMessage()) for record in records]

    yield decisions
    assert "eyJ" not in caplog.text
