"""Patient care: its settings, its flow and its outputs."""

from __future__ import annotations

from flows.adt.mllp_settings import Mllp
from flows.adt.settings import Adt
from flows.engine.declaration import System
from state.adt.outputs import OUTPUTS
from state.adt.released import OUTPUTS as RELEASED

SYSTEM = System(
    name="adt",
    settings={"adt": Adt, "mllp": Mllp},
    flows={"adt": "flows.adt.flow", "fhir": "flows.adt.fhir", "deid": "flows.adt.deid"},
    outputs=(*OUTPUTS, *RELEASED),
    history="flows.adt.omop",
    bulk="flows.adt.bulk",
)
