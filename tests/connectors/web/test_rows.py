"""The rule of a token's rows: what is admitted record by record is what filters let through."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.web.channels import Channel, Filters, Source, sources_of
from connectors.web.tokens import Access
from state.market.outputs import OUTPUTS
from state.outputs import Column, Kind, Output

SOURCES = sources_of(OUTPUTS)
RISK = SOURCES["market.risk"]
NAMES = ("A", "B", "C")
SCOPES = [f"{part}:{name}" for part in ("portfolio", "symbol") for name in NAMES]
METHODS = ("historical", "ewma-normal")
VALUES = {"scope": SCOPES, "portfolio": NAMES, "symbol": NAMES, "method": METHODS}
filters = st.dictionaries(st.sampled_from(list(VALUES)), st.none()).flatmap(
    lambda names: st.fixed_dictionaries(
        {name: st.frozensets(st.sampled_from(VALUES[name])) for name in names}
    )
)


def access(rows: Filters) -> Access:
    return Access("ann", frozenset({"read:market.risk"}), rows, None)


def own(source: Source, narrowed: Filters, record: dict[str, Any]) -> bool:
    """Whether a record passes filters by its own fields, as a database judges."""
    return all(record[name] in values for name, values in narrowed.items())


@given(filters, filters, st.sampled_from(SCOPES), st.sampled_from(METHODS))
def test_narrowed_filters_let_through_what_is_asked_for_and_admitted(
    rows: Filters, asked: Filters, scope: str, method: str
) -> None:
    record = {"scope": scope, "method": method}
    values = RISK.values(record)
    parts = {"portfolio", "symbol"}
    # Asked for by several parts of one field, a channel wants all and a table any of them.
    if parts <= asked.keys():
        asked = {name: found for name, found in asked.items() if name != "symbol"}
    seen = Channel(RISK, tuple(asked.items())).takes(values) and access(rows).admits(values)
    found = own(RISK, access(rows).narrow(asked, RISK), record)
    # Never more; less where a scope has no such part, which rows of another field would let pass.
    assert found == seen if rows.keys().isdisjoint(parts) else found <= seen


@pytest.mark.parametrize(
    ("rows", "scope", "seen"),
    [
        ({}, "symbol:A", True),
        ({"symbol": {"A"}}, "symbol:A", True),
        ({"symbol": {"A"}}, "symbol:B", False),
        ({"symbol": {"A"}}, "portfolio:A", False),
        ({"symbol": {"A"}, "portfolio": {"P"}}, "portfolio:P", True),
        ({"symbol": {"A"}, "portfolio": {"P"}}, "portfolio:A", False),
        ({"scope": {"symbol:A"}, "symbol": {"A", "B"}}, "symbol:B", False),
        ({"symbol": set()}, "symbol:A", False),
        ({"ward": {"north"}}, "symbol:A", False),
    ],
)
def test_rows_admit_and_narrow_alike(rows: dict[str, set[str]], scope: str, seen: bool) -> None:
    given_rows = {name: frozenset(values) for name, values in rows.items()}
    reader = access(given_rows)
    record = {"scope": scope, "method": "historical"}
    assert reader.admits(RISK.values(record)) == seen
    narrowed = reader.narrow({}, RISK)
    assert (reader.speaks_of(RISK.fields) and own(RISK, narrowed, record)) == seen


def test_a_secret_output_is_filtered_by_its_hashed_key_alone() -> None:
    columns = (Column("id", Kind.KEY), Column("ts_ns", Kind.INT), Column("visit", Kind.KEY))
    secret = Output(
        "wards", "visits", "ts_ns", columns, ("visit",), filters=("visit",), secret=True
    )
    source = Source.of(secret)
    assert (source.key, source.fields) == (("key",), ("key",))
    assert not access({"visit": frozenset({"V1"})}).speaks_of(source.fields)
