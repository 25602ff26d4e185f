"""Which way messages are taken, with which settings, and what stops either way."""

from __future__ import annotations

import ctypes
import logging
import subprocess
import sys

import confluent_kafka
import pytest
from confluent_kafka import KafkaError

from connectors.kafka import consumer, library
from connectors.kafka.client import Cluster
from connectors.kafka.columns import Columns
from connectors.kafka.consumer import RawConsumer
from connectors.kafka.messages import Fault
from connectors.kafka.reading import Objects, by_column
from state.errors import Broken, OffsetGone, SettingsError
from state.metrics import COLUMNS
from tests.connectors.kafka.reads import Reads, both_ways, reading
from tests.connectors.kafka.rig import Rig, read
from tests.waiting import eventually


@both_ways
def test_an_unknown_topic_is_told_of(kafka, way, caplog):
    soon = {"topic.metadata.propagation.max.ms": "0", "topic.metadata.refresh.interval.ms": "200"}
    with reading(Rig(Cluster(kafka.bootstrap, options=soon), "nobody.made.this", 1), way) as made:
        eventually(lambda: made.block() is None and "Unknown topic" in caplog.text)
    assert "Kafka: nobody.made.this [0]: " in caplog.text


@both_ways
def test_errors_of_the_client_reach_its_callbacks_and_its_log(caplog, way):
    with reading(Rig(Cluster("127.0.0.1:1"), "t", 1), way) as made:
        eventually(
            lambda: made.block() is None and "Kafka: " in caplog.text and "refused" in caplog.text
        )


@both_ways
def test_a_fatal_error_is_told_and_closing_does_not_hang(rig, way):
    with reading(rig(), way) as made:
        eventually(lambda: made.block() is None and bool(made.faults))
        made.faults.clear()
        _break(made.client, b"fenced, it says")
        eventually(lambda: made.block() is None and bool(made.faults))
    assert made.faults[0].error.code() == KafkaError._FATAL
    assert "fenced, it says" in made.faults[0].error.str()


def _break(client: int, reason: bytes) -> None:
    """Let a client meet a fatal error, by librdkafka's function for such tests."""
    function = library.library().rd_kafka_test_fatal_error
    function.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p]
    function(client, KafkaError.INVALID_PRODUCER_EPOCH, reason)


@both_ways
def test_a_flow_stops_at_a_fatal_error(rig, way):
    r = rig(way=way)
    part = r.open()
    part._note_fatal(KafkaError(47, "fenced", True))
    with pytest.raises(Broken, match="fenced"):
        part.next_batch()


@both_ways
def test_an_error_that_would_skip_messages_stops_the_flow(rig, way):
    r = rig(way=way)
    part = r.open()
    with pytest.raises(Broken, match="cannot deliver"):
        part._judge(Fault(0, KafkaError(KafkaError._BAD_COMPRESSION)))
    with pytest.raises(OffsetGone):
        part._judge(Fault(0, KafkaError(KafkaError._AUTO_OFFSET_RESET)))
    part._judge(Fault(0, KafkaError(KafkaError._TRANSPORT)))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (lambda patch: patch.setattr(library, "_FUNCTIONS", {"no_function": (None,)}), "not found"),
        (lambda patch: patch.setattr(library, "MAJOR", 3), "major version"),
        (lambda patch: patch.setattr(confluent_kafka, "libversion", lambda: ("", 1)), "confluent"),
        (lambda patch: patch.setattr(consumer, "_CLIENTS_OWN", {"client.id"}), "client.id"),
    ],
)
def test_what_is_not_known_falls_back_to_objects_and_says_so(
    rig, monkeypatch, caplog, broken, reason
):
    library.library.cache_clear()
    broken(monkeypatch)
    r = rig()
    r.write([(0, b"a")])
    part = r.open()
    assert isinstance(part._reader, Objects)
    assert COLUMNS.labels(r.topic)._value.get() == 0
    assert "cannot be read by column: " in caplog.text
    assert reason in caplog.text
    assert [value for _, _, value in read(part, 1)] == [b"a"]
    library.library.cache_clear()


def test_settings_that_librdkafka_refuses_are_an_error_without_the_secret(rig, caplog):
    cluster = Cluster("127.0.0.1:1", options={"ssl.key.password": "hunter2", "no.such": "hunter3"})
    with pytest.raises(SettingsError) as error:
        Reads(Rig(cluster, "t", 1), "columns", 10)
    assert "no.such" in str(error.value)
    assert "hunter" not in str(error.value) + caplog.text


def test_a_consumer_s_settings_are_taken_as_they_are():
    cluster = Cluster(
        "127.0.0.1:1",
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="user",
        sasl_password="hunter2",
        options={"fetch.error.backoff.ms": "77", "ssl.endpoint.identification.algorithm": "none"},
    )
    settings = cluster.consumer_settings("g", consumers=3)
    raw = RawConsumer(settings, "t", print, logging.getLogger("t"))
    dump = _dumped(raw)
    raw.close()
    told = {name: consumer._text(value) for name, value in settings.items()}
    # It has names of its own, and keeps one setting among those of topics.
    names = {"bootstrap.servers": "metadata.broker.list", "sasl.mechanism": "sasl.mechanisms"}
    told = {names.get(name, name): text for name, text in told.items()}
    assert told.pop("auto.offset.reset") == "error"
    assert dump.pop("security.protocol") == told.pop("security.protocol").lower()
    assert told.items() <= dump.items()


def _dumped(raw: RawConsumer) -> dict[str, str]:
    functions, count = raw.library, ctypes.c_size_t()
    functions.rd_kafka_conf.restype = ctypes.c_void_p
    functions.rd_kafka_conf.argtypes = [ctypes.c_void_p]
    functions.rd_kafka_conf_dump.restype = ctypes.POINTER(ctypes.c_char_p)
    functions.rd_kafka_conf_dump.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    texts = functions.rd_kafka_conf_dump(functions.rd_kafka_conf(raw.client), ctypes.byref(count))
    words = [(texts[i] or b"").decode() for i in range(count.value)]
    return dict(zip(words[::2], words[1::2], strict=True))


def test_which_way_is_used_can_be_seen(rig):
    r = rig()
    assert isinstance(r.open()._reader, Columns)
    assert COLUMNS.labels(r.topic)._value.get() == 1


def test_a_process_without_numba_reads_objects_and_loads_none():
    program = (
        "import sys, connectors.kafka.source as s, connectors.kafka.reading as r\n"
        "r.warm_up('auto')\n"
        "assert not r.by_column('auto') and 'numba' not in sys.modules\n"
        "assert r.by_column('columns')"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_process_with_numba_reads_by_column():
    assert "numba" in sys.modules
    assert by_column("auto")
    assert not by_column("objects")
