"""Outputs as routes see them: found by name, filtered by fields."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from connectors.web.channels import SOURCES, Filters, Source
from connectors.web.rest.operation import Call, Parameter
from connectors.web.rest.problems import Problem
from state.outputs import OUTPUTS

MAX_VALUES = 1000
"""How many values a filter may name."""
Values = Annotated[str, StringConstraints(min_length=1, max_length=8192)]

SYSTEM = Parameter("system", Literal[tuple(OUTPUTS)], "The system", "path")
OUTPUT = Parameter(
    "output",
    Literal[tuple(sorted({output.name for found in OUTPUTS.values() for output in found}))],
    "Its output",
    "path",
)
NAMES = sorted({field for source in SOURCES.values() for field in source.fields})
FILTERS = tuple(
    Parameter(name, Values, "Only records with this value, or one of several behind commas")
    for name in NAMES
)
"""The fields of all outputs; one that an output does not have is refused."""


def source_of(call: Call) -> Source:
    """Return the output that the path names. Raises Problem 404."""
    source = SOURCES.get(f"{call.given['system']}.{call.given['output']}")
    if source is None:
        raise Problem(404, "there is no such output", "output")
    return source


def filters_of(call: Call, source: Source) -> Filters:
    """Return field -> values, any of which a record may have. Raises Problem 400."""
    filters = {}
    for name in NAMES:
        if name not in call.given:
            continue
        if name not in source.fields:
            known = ", ".join(source.fields)
            raise Problem(400, f"{source.name} is filtered by {known}", name)
        values = call.given[name].split(",")
        if len(values) > MAX_VALUES:
            raise Problem(400, f"there are more than {MAX_VALUES} values", name)
        filters[name] = frozenset(values)
    return filters
