"""The flow that tells a FHIR server of patients, visits, diagnoses and observations.

::

    adt.patients, adt.encounters, ... ── resources ── server ─┐
                                     └────────────────────────┴─ dead letters ── dead

A start may send again what the server has: that changes nothing there.
"""

from __future__ import annotations

from functools import partial
from random import SystemRandom
from typing import TYPE_CHECKING

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from connectors.adt.changes import ChangeDecoder
from connectors.fhir.server import Server
from flows.adt.settings import Adt
from flows.engine.context import Logics
from flows.engine.inputs import Inputs, NamedItem
from flows.engine.sealed import seal_for
from flows.engine.streams import dead_letters, under_one_key
from flows.settings.settings import Settings
from operators.adt.fhir.resources import OUTPUTS as FOLLOWED
from operators.adt.fhir.resources import Resources
from state.adt.changes import Change
from state.adt.outputs import OUTPUTS
from state.errors import SettingsError
from state.inputs import Input
from state.rows import RowBlock
from state.sealing import Seal

if TYPE_CHECKING:
    from flows.engine.context import Context

SECRET = True
PAGES = 65_536
"""Of patients and visits: an epoch writes those that were touched. The same for good."""
READ = tuple(output for output in OUTPUTS if output.name in FOLLOWED)


def build(context: Context) -> Dataflow:
    """Return the dataflow. Raises SettingsError where no server is named."""
    flow, table = Dataflow("fhir"), context.settings.of(Adt)
    if not table.fhir_base:
        raise SettingsError("adt.fhir_base is empty: set the address of a FHIR R4 server")
    seal = _seal(context.settings)
    sources = {
        output.topic: context.source(output.topic, ChangeDecoder(output, seal).decode)
        for output in READ
    }
    blocks = op.map("blocks", op.input("inputs", flow, Inputs(sources)), _block)
    # The topics cut patients and visits differently: what belongs together meets in one place.
    resources = context.step("resources", op.map("as_one", blocks, under_one_key))
    token = table.fhir_token.get_secret_value()
    server = Server(table.fhir_base, token, context.lifecycle, SystemRandom())
    refused = op.flat_map_batch("server", resources.handed, server.take)
    undecoded = op.flat_map("undecoded", blocks, dead_letters)
    context.write_dead(op.merge("dead_letters", refused, undecoded))
    return flow


def logics(settings: Settings) -> Logics:
    """Return the stateful step."""
    return {"resources": partial(Resources, PAGES, _seal(settings).fingerprint)}


def inputs(_: Settings) -> list[Input]:
    """Return the topics of patient care."""
    return [Input(output.topic, patient=True) for output in READ]


def _seal(settings: Settings) -> Seal:
    seal = seal_for("adt", OUTPUTS, settings)
    assert seal is not None, "patient care is secret"
    return seal


def _block(item: NamedItem) -> tuple[str, RowBlock[Change]]:
    return item[1]
