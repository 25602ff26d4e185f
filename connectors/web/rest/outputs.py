"""Outputs as routes see them: found by name, filtered by fields."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import StringConstraints

from connectors.postgres.tables import Table, tables_of
from connectors.web.channels import Filters, Source, sources_of
from connectors.web.rest.operation import Call, Parameter
from connectors.web.rest.problems import Problem
from state.outputs import Output

MAX_VALUES = 1000
"""How many values a filter may name."""
Values = Annotated[str, StringConstraints(min_length=1, max_length=8192)]


IN_PATH = ("system", "output")
"""What names an output."""


@dataclass(frozen=True)
class Catalog:
    """All outputs that the application serves, with their tables of history, by their topics."""

    sources: dict[str, Source]
    tables: dict[str, Table]

    @classmethod
    def of(cls, outputs: Iterable[Output]) -> Catalog:
        """Return the catalog of declared outputs."""
        outputs = tuple(outputs)
        return cls(sources_of(outputs), tables_of(outputs))

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The declared outputs, in their order."""
        return tuple(source.output for source in self.sources.values())

    @property
    def path(self) -> tuple[Parameter, Parameter]:
        """Return the parameters that name an output in a path."""
        systems = dict.fromkeys(output.system for output in self.outputs)
        names = sorted({output.name for output in self.outputs})
        return (
            Parameter(IN_PATH[0], _one_of(systems), "The system", "path"),
            Parameter(IN_PATH[1], _one_of(names), "Its output", "path"),
        )

    def is_private(self, system: str) -> bool:
        """Return whether a system has secret outputs."""
        return any(s.private for s in self.sources.values() if s.output.system == system)

    def source(self, call: Call) -> Source:
        """Return the output that a request's path names. Raises Problem 404."""
        source = self.sources.get(f"{call.given['system']}.{call.given['output']}")
        if source is None:
            raise Problem(404, "there is no such output", "output")
        return source


def filters(names: Iterable[str]) -> tuple[Parameter, ...]:
    """Return parameters for fields of any output; one that an output does not have is refused.

    A field that is named as a part of the path is no filter.
    """
    said = "Only records with this value, or one of several behind commas"
    return tuple(Parameter(name, Values, said) for name in sorted(set(names) - {*IN_PATH}))


def filters_of(call: Call, parameters: Iterable[Parameter], source: Source, known: Any) -> Filters:
    """Return field -> values, any of which a record may have.

    ``parameters`` are those of `filters`, ``known`` the fields of this output. Raises Problem 400.
    """
    found = {}
    for name in (each.name for each in parameters if each.name in call.given):
        if name not in known:
            raise Problem(400, f"{source.name} is filtered by {', '.join(known)}", name)
        values = call.given[name].split(",")
        if len(values) > MAX_VALUES:
            raise Problem(400, f"there are more than {MAX_VALUES} values", name)
        found[name] = frozenset(values)
    return found


def _one_of(names: Iterable[str]) -> Any:
    return Literal[tuple(names)]
