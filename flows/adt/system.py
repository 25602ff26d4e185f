"""Patient care: its settings, its flow and its outputs."""

from __future__ import annotations

from flows.adt.settings import Adt
from flows.engine.declaration import System
from state.adt.outputs import OUTPUTS

SYSTEM = System(name="adt", settings={"adt": Adt}, flows={"adt": "flows.adt.flow"}, outputs=OUTPUTS)
