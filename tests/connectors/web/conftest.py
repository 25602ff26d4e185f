"""What the tests of the feed share."""

from __future__ import annotations

import logging

import orjson
import pytest

from tests.connectors.web.patients import HERS, HIS, KEYRING, Hospital


@pytest.fixture
def log(caplog):
    """The decisions that were logged; no token may be among them."""
    caplog.set_level(logging.INFO, "headrace.access")

    def decisions() -> list[dict]:
        records = [r for r in caplog.records if r.name == "headrace.access"]
        return [orjson.loads(record.getMessage()) for record in records]

    yield decisions
    assert "eyJ" not in caplog.text


@pytest.fixture
def hospital(redis_url, monkeypatch):
    """A patient in each of the wards A and B, whose records the feed can open."""
    monkeypatch.setenv("HEADRACE_SEALING__KEYS", KEYRING.text())
    made = Hospital(redis_url)
    made.admit(HERS, "V1", "A")
    made.admit(HIS, "V2", "B")
    return made
