"""Outputs of a system that has no migration, their records, retractions and envelopes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from pydantic import SecretStr

from connectors.kafka.sink import RETRACTED_HEADER
from connectors.postgres.decode import HistoryDecoder, RowsBlock
from connectors.postgres.keeping import Keeping
from connectors.postgres.sink import PostgresPartition, PostgresSink
from connectors.postgres.tables import Table
from state.lifecycle import Lifecycle
from state.outputs import Column, Kind, Output, to_json
from state.retraction import retraction
from state.sealing import Keyring, Seal
from state.shards import shard_names
from tests.connectors.postgres.rows import T0, messages
from tests.connectors.postgres.writing import KEEPING

BEDS = Output(
    "wards",
    "beds",
    "ts_ns",
    (
        Column("id", Kind.KEY),
        Column("ts_ns", Kind.INT),
        Column("ward", Kind.KEY),
        Column("bed", Kind.KEY),
        Column("patient", Kind.TEXT, nullable=True),
    ),
    key=("ward", "bed"),
    filters=("ward", "bed"),
)
VISITS = Output(
    "wards",
    "visits",
    "ts_ns",
    (
        Column("id", Kind.KEY),
        Column("ts_ns", Kind.INT),
        Column("ward", Kind.TEXT),
        Column("number", Kind.INT),
        Column("share", Kind.FLOAT),
        Column("open", Kind.BOOL),
    ),
    key=("ward", "number", "share", "open"),
)
"""Its key has every kind of column that a key may have."""
SEALED = Output(
    "wards",
    "sealed",
    "ts_ns",
    (Column("id", Kind.KEY), Column("ts_ns", Kind.INT), Column("visit", Kind.KEY)),
    key=("visit",),
    secret=True,
)
SEAL = Seal(Keyring({"k1": b"1" * 32}, "k1", b"i" * 32))


def bed(number: int, ward: str, ts_ns: int, patient: str | None = None) -> dict[str, Any]:
    name = f"B{number}"
    found = {"id": f"{ward}|{name}|{ts_ns}", "ts_ns": ts_ns, "ward": ward, "bed": name}
    return found | {"patient": patient}


def envelope(visit: str, number: int, *, retracted: bool = False) -> dict[str, Any]:
    """The envelope of a record of SEALED, or of its retraction."""

    ts_ns, identity = T0 + number * 1000, f"{visit}|{number}"
    record = {"id": identity, "ts_ns": ts_ns, "visit": visit}
    if retracted:
        record = retraction(SEALED, ts_ns, identity, visit)
    value = to_json(record)
    sealed = SEAL.envelope(
        SEALED, "0", number + 1, ts_ns, identity, visit, value, retracted=retracted
    )
    found: dict[str, Any] = orjson.loads(sealed)
    return found


def filled(output: Output, records: Sequence[dict[str, Any]], first: int = 1) -> RowsBlock:
    """Decode records as the broker has them; those with ``retracted`` have its header."""
    made = RowsBlock(Table(output))
    decoder = HistoryDecoder(Table(output))
    for number, record in enumerate(records, start=first):
        headers = [("headrace-counter", b"0/%d" % number), ("headrace-generation", b"1")]
        if record.get("retracted"):
            headers.append((RETRACTED_HEADER, b"1"))
        found = decoder.decode(messages(output.topic, [to_json(record)], headers))
        assert found.dead == []
        made.rows += found.rows
        made.retractions += found.retractions
    return made


def sink_of(dsn: str, keeping: Keeping = KEEPING) -> PostgresPartition:
    names = shard_names(2)
    outputs = (BEDS, SEALED)
    sink = PostgresSink(SecretStr(dsn), outputs, keeping, names, names, Lifecycle())
    return sink.build_part("postgres", names[0], None)
