"""The flow of patient care: HL7 messages in; timelines, results and the census out, sealed.

::

    adt.raw ─┬─ timeline ─┬─ redis
             │            └─ topics
             └─ dead letters ── dead
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from connectors.adt.messages import decode
from flows.adt.settings import Adt
from flows.engine.context import Logics
from flows.engine.streams import dead_letters
from flows.settings.settings import Settings
from operators.adt.timeline import Timeline
from state.inputs import Input

if TYPE_CHECKING:
    from flows.engine.context import Context


def build(context: Context) -> Dataflow:
    """Return the dataflow."""
    flow = Dataflow("adt")
    settings = table(context.settings)
    zone, ahead_ns = ZoneInfo(settings.timezone), settings.max_ahead
    read = partial(decode, zone=zone, max_ahead_ns=ahead_ns, domains=settings.domains)
    messages = op.input("messages", flow, context.source(settings.topic, read))
    timeline = context.step("timeline", messages)
    context.write(timeline, dead=[op.flat_map("undecoded", messages, dead_letters)])
    return flow


def logics(settings: Settings) -> Logics:
    """Return the stateful step."""
    adt = table(settings)
    times = (adt.census_window, adt.correct_census, adt.horizon)
    return {"timeline": partial(Timeline, adt.pages, *times)}


def inputs(settings: Settings) -> list[Input]:
    """Return the topic of messages."""
    return [Input(table(settings).topic)]


def table(settings: Settings) -> Adt:
    """Return the settings on which outputs and state depend."""
    return settings.of(Adt)
