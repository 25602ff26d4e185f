"""Runs of the daily engine on events, and events to run it on."""

from __future__ import annotations

import pickle
from itertools import groupby
from operator import itemgetter
from typing import Any

from operators.market.daily.engine import Daily
from operators.market.daily.settings import DailySettings, Target
from tests.daily_events import DAY_NS, close_ns, closes, portfolio

SMALL = DailySettings(methods=("historical", "ewma-normal"), window=20, confidences=(0.9,))

DEFAULTS = {"ex_ns": None, "value": 1.0, "rebalance": "daily"}

time_of = itemgetter("ts_ns")


def run(
    events: list[dict], settings: DailySettings = SMALL, restart: int = 0, **more: Any
) -> dict[str, list[dict]]:
    """Return the records by output; ``restart``: after so many times, go on from a snapshot."""
    daily = Daily(settings, **more)
    found: dict[str, list[dict]] = {}
    by_time = groupby(sorted(events, key=time_of), time_of)
    for number, (ts_ns, together) in enumerate(by_time):
        items = [
            (int(event["type"] == "closes"), "t", 0, place, 0, DEFAULTS | event)
            for place, event in enumerate(together)
        ]
        for output, _, _, _, record in daily.accept(ts_ns, sorted(items)):
            found.setdefault(output, []).append(record)
        if restart and number % restart == 0:
            kept = pickle.loads(pickle.dumps(daily.snapshot()))
            daily = Daily(settings, **more)
            daily.restore(kept)
    return found


def prices(session: int, **of: float) -> dict:
    return {"type": "closes", "ts_ns": close_ns(session), "prices": of}


def at(session: int, **event: Any) -> dict:
    """Return an event in the night before a session."""
    return event | {"ts_ns": close_ns(session) - DAY_NS // 2}


def late_asset(late: int, sessions: int) -> list[dict]:
    """Return closes in which C has its first price at session ``late``."""
    return [
        event | {"prices": {s: p for s, p in event["prices"].items() if s != "C" or i >= late}}
        for i, event in enumerate(closes(3, sessions))
    ]


TARGETS = DailySettings(
    methods=("historical", "garch-normal"),
    window=30,
    models_every=7,
    targets={"P": Target("min-variance", every=7, apply=True)},
)

EVENTS = [portfolio("P", {"A": 0.5, "B": 0.3, "C": 0.2}), *closes(3, 60)]
