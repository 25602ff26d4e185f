"""OMOP's rows by the history flow: only where it is asked for, and only with the keys."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any
from zlib import crc32

import psycopg
import pytest
from bytewax.testing import run_main
from pydantic import SecretStr

from connectors.kafka.sink import RETRACTED_HEADER
from connectors.kafka.topics import ensure_topics, resolve_start
from flows import history
from flows.adt.omop import TOPICS
from flows.adt.settings import Adt
from flows.engine.cluster import cluster_of
from flows.engine.flows import find_flow
from flows.engine.generation import Start
from flows.engine.live import connect
from flows.servers import KafkaBroker
from flows.settings.part import settings_hash
from flows.settings.servers import Kafka, Postgres
from flows.settings.settings import Settings, whole
from state.errors import SettingsError
from state.lifecycle import Lifecycle
from tests import producing
from tests.connectors.adt.test_omop import BY_NAME, MERGED, SEAL, WHOLE, batches
from tests.flows.test_history import wait_for
from tests.waiting import PATIENCE_S

KEYS = SEAL._keyring.text()
PARTITIONS = 3


def settings(bootstrap: str, dsn: str, keys: str = KEYS, *, omop: bool = True) -> Settings:
    tables: dict[str, Any] = {
        "kafka": Kafka(bootstrap=bootstrap, shards=2),
        "postgres": Postgres(dsn=SecretStr(dsn), retention=100 * 365 * 86_400 * 10**9),
        "adt": Adt(omop=omop),
        "sealing": {"keys": keys},
    }
    return whole()(**tables)


def produce(bootstrap: str) -> None:
    """Write what the flow of patient care does for a stay, another one, and their merge."""
    producer = producing.producer(bootstrap)
    for batch in batches([*WHOLE, MERGED]):
        sealed = SEAL.batch(BY_NAME[batch.output], batch)
        for row, (key, value) in enumerate(zip(sealed.keys, sealed.values, strict=True)):
            headers = [
                ("headrace-counter", f"{batch.origin}/{batch.first + row}".encode()),
                ("headrace-generation", b"1"),
                *([(RETRACTED_HEADER, b"1")] if row in batch.retracted else ()),
            ]
            place = crc32(key.encode()) % PARTITIONS
            topic = BY_NAME[batch.output].topic
            producer.produce(topic, value, key.encode(), partition=place, headers=headers)
    producer.flush()


def persons(dsn: str) -> list[tuple[int, int]]:
    """How many persons and visits there are."""
    try:
        with psycopg.connect(dsn) as connection:
            return connection.execute(
                "SELECT (SELECT count(*) FROM omop.person), "
                "(SELECT count(*) FROM omop.visit_occurrence)"
            ).fetchall()
    except psycopg.errors.UndefinedTable:
        return []


def test_topics_become_rows_of_persons(own_kafka: KafkaBroker, database: str) -> None:
    chosen = settings(own_kafka.bootstrap, database)
    cluster = cluster_of(chosen.kafka)
    ensure_topics(cluster, dict.fromkeys([*TOPICS, "history.dead"], PARTITIONS))
    offsets = {topic: resolve_start(cluster, topic, "latest") for topic in TOPICS}
    produce(own_kafka.bootstrap)
    lifecycle = Lifecycle()
    start = Start("history", 1, "", offsets)
    flow = history.build(connect(find_flow("history"), start, chosen, lifecycle))
    runner = threading.Thread(target=run_main, args=(flow,), daemon=True)
    runner.start()
    wait_for(lambda: persons(database) == [(1, 2)])
    lifecycle.stopping.set()
    runner.join(PATIENCE_S)
    assert not runner.is_alive()
    with psycopg.connect(database) as connection:
        (sealed,) = connection.execute("SELECT count(*) FROM adt_patients").fetchone() or (0,)
    assert sealed


def test_it_is_off_by_default_and_needs_the_keys(database: str) -> None:
    assert Adt().omop is False
    start = Start("history", 1, "", {topic: {0: 0} for topic in TOPICS})
    found = find_flow("history")
    for omop, steps in ((False, 0), (True, 1)):
        chosen = settings("127.0.0.1:1", database, omop=omop)
        flow = history.build(connect(found, start, chosen, Lifecycle()))
        assert sum(step.step_name == "omop" for step in flow.substeps) == steps
    with pytest.raises(SettingsError, match="adt handles what is secret and there is no key"):
        history.build(connect(found, start, settings("127.0.0.1:1", database, ""), Lifecycle()))


def test_the_flows_state_does_not_depend_on_it() -> None:
    on = Adt(omop=True, vocabulary=Path(), deidentify="safe_harbor", deidentify_days=1)
    assert settings_hash(on, 4) == settings_hash(Adt(), 4)
