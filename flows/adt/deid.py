"""The flow that hands on patient care's tables without the names, as they change.

::

    adt.patients, adt.encounters, ... ── released ─┬─ redis
                                        │          └─ topics deid.*
                                        └─ dead letters ── dead

What it writes is not sealed: it is for who must not know the patients.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from connectors.adt.changes import ChangeDecoder
from connectors.adt.codes import Pseudonyms
from flows.adt.settings import Adt, Moved
from flows.engine.context import Logics
from flows.engine.inputs import Inputs, NamedItem
from flows.engine.sealed import seal_for
from flows.engine.streams import dead_letters
from flows.settings.settings import Settings
from operators.adt.releasing import Releasing
from state.adt.changes import Change
from state.adt.released import SOURCES
from state.errors import SettingsError
from state.inputs import Input
from state.rows import RowBlock
from state.sealing import Seal

if TYPE_CHECKING:
    from flows.engine.context import Context

SECRET = True
PAGES = 65_536
"""Of rows: an epoch writes those that were touched. The same for good."""


def build(context: Context) -> Dataflow:
    """Return the dataflow. Raises SettingsError where the streams are not asked for."""
    flow, settings = Dataflow("deid"), context.settings
    if settings.of(Adt).deidentify != "pseudonymised":
        raise SettingsError(
            "live streams can be pseudonymised alone: set adt.deidentify to that. Of Safe Harbor "
            "there are only tables (headrace deidentify adt): who watches a record arrive knows "
            "its date"
        )
    seal = _seal(settings)
    sources = {
        output.topic: context.source(output.topic, ChangeDecoder(output, seal).decode)
        for output in SOURCES
    }
    blocks = op.map("blocks", op.input("inputs", flow, Inputs(sources)), _block)
    undecoded = op.flat_map("undecoded", blocks, dead_letters)
    context.write(context.step("released", blocks), dead=[undecoded])
    return flow


def logics(settings: Settings) -> Logics:
    """Return the stateful step."""
    adt = settings.of(Adt)
    names = Pseudonyms(_seal(settings), adt.deidentify_days)
    return {"released": partial(Releasing, PAGES, names, adt.small_zip3)}


def inputs(_: Settings) -> list[Input]:
    """Return the topics of patient care that are released."""
    return [Input(output.topic, patient=True) for output in SOURCES]


def table(settings: Settings) -> Moved:
    """Return what the rows depend on."""
    adt = settings.of(Adt)
    return Moved(days=adt.deidentify_days, small_zip3=adt.small_zip3)


def _seal(settings: Settings) -> Seal:
    seal = seal_for("adt", SOURCES, settings)
    assert seal is not None, "patient care is secret"
    return seal


def _block(item: NamedItem) -> tuple[str, RowBlock[Change]]:
    return item[1]
