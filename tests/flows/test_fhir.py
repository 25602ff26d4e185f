"""`headrace run fhir`: sealed topics of a real Kafka to a FHIR server, in outages and kills."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson
import pytest

from connectors.kafka.sink import RETRACTED_HEADER
from flows.__main__ import main
from flows.engine.ports import free_port
from flows.servers import KafkaBroker
from state.adt.changes import Change
from state.adt.outputs import OUTPUTS
from state.outputs import Output, to_json
from state.records import OutputBatch
from state.retraction import retraction
from state.sealing import Keyring, Seal
from tests import producing
from tests.conftest import create_topic
from tests.connectors.fhir.endpoint import Endpoint, serving
from tests.flows.runs import Run, headrace, settings
from tests.operators.adt.fhir.records import DOMAIN, change, retracted, stay
from tests.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.timeout(900)
COUNT, PARTITIONS = 150, 2
BY_NAME = {output.name: output for output in OUTPUTS}
READ = ("patients", "encounters", "location_visits", "conditions", "observations")
BAD = "CANARYNAME"


class World:
    """The topics, the keys and the settings; the counters of what was published."""

    def __init__(self, kafka: KafkaBroker, directory: Path) -> None:
        keys = directory / "keys.toml"
        assert main(["keys", "new", str(keys)]) == 0
        self.seal = Seal(Keyring.parse(keys.read_text()))
        self.port = free_port()
        self.env = settings(
            kafka.bootstrap,
            "redis://127.0.0.1:9",  # the flow asks nothing of Redis
            directory,
            HEADRACE_SEALING__KEYS_FILE=str(keys),
            HEADRACE_ADT__FHIR_BASE=f"http://127.0.0.1:{self.port}/fhir",
            HEADRACE_KAFKA__START="earliest",
        )
        self.log = directory / "log"
        self._producer = producing.producer(kafka.bootstrap)
        for name in READ:
            create_topic(kafka, f"adt.{name}", PARTITIONS)
        self._counters = dict.fromkeys(READ, 0)

    def run(self, workers: int = 1) -> Run:
        return Run(self.env, ("fhir", "--workers", str(workers)), self.log)

    def publish(self, changes: Iterable[Change]) -> None:
        """Seal and send records as the flow `adt` does."""
        for each in changes:
            output = BY_NAME[each.output]
            self._counters[each.output] += 1
            batch = self.seal.batch(output, _batch(output, each, self._counters[each.output]))
            [value] = batch.values
            headers: dict[str, str | bytes | None] = {}
            if each.record is None:
                headers = {RETRACTED_HEADER: b"1"}
            self._producer.produce(output.topic, value, batch.keys[0].encode(), headers=headers)
        assert self._producer.flush(PATIENCE_S) == 0


def _batch(output: Output, each: Change, counter: int) -> OutputBatch:
    time_ns = each.record["ts_ns"] if each.record else 1
    record = each.record or retraction(output, time_ns, "x", each.key)
    rows = frozenset() if each.record else frozenset({0})
    whole = [to_json(record)]
    return OutputBatch(
        output.name, "0", counter, [time_ns], ["x"], [each.key], whole, retracted=rows
    )


@pytest.fixture
def world(own_kafka: KafkaBroker, tmp_path: Path) -> World:
    return World(own_kafka, tmp_path)


def of(number: int) -> dict[str, Any]:
    return {"patient": f"{number}^^^GH", "visit": f"V{number}^^^GH"}


def came(number: int) -> list[Change]:
    """A patient comes."""
    who = of(number)
    return [
        change("encounters", **who),
        change("location_visits", **who, stays=[stay("4W^1^A", "08:00")]),
        change("patients", patient=who["patient"], family=f"F{number}"),
    ]


def left(number: int) -> list[Change]:
    """And leaves."""
    who, end = of(number), "2024-03-05T10:00:00Z"
    return [
        change("location_visits", **who, stays=[stay("4W^1^A", "08:00", "10:00")]),
        change("encounters", **who, status="finished", discharged=end, stay_s=7200),
    ]


def status(endpoint: Endpoint, wanted: str) -> int:
    return sum(each["status"] == wanted for each in endpoint.of("Encounter"))


def test_all_arrives_though_the_server_is_down_and_the_flow_is_killed(world: World) -> None:
    endpoint = Endpoint()
    world.publish(each for number in range(COUNT) for each in came(number))
    with ExitStack() as stack:
        with world.run() as run:
            eventually(lambda: b"fhir" in (run.probe("/metrics")[1] or b""))
            eventually(lambda: run.probe("/ready")[0] == 503)
            stack.enter_context(serving(endpoint, world.port))
            eventually(lambda: status(endpoint, "in-progress") == COUNT)
            world.publish(each for number in range(COUNT) for each in left(number))
            eventually(lambda: status(endpoint, "finished") > 0, every_s=0.001)
            [worker] = run.workers()
            worker.send_signal(signal.SIGKILL)
            worker.wait(PATIENCE_S)
        with world.run(workers=2) as run:
            eventually(lambda: status(endpoint, "finished") == COUNT)
            world.publish([retracted("encounters", f"V0^^^GH|0^^^GH|{DOMAIN}")])
            eventually(lambda: status(endpoint, "entered-in-error") == 1)
            assert run.end() == 0
    for encounter in endpoint.of("Encounter"):
        if encounter["status"] == "finished":
            [place] = encounter["location"]
            assert place["status"] == "completed"
            assert encounter["length"]["value"] == 7200
    assert len(endpoint.of("Patient")) == COUNT
    assert len(endpoint.of("Location")) == 1
    assert {each["name"][0]["family"] for each in endpoint.of("Patient")} == {
        f"F{number}" for number in range(COUNT)
    }


def test_what_is_refused_is_a_sealed_dead_letter_and_the_rest_arrives(world: World) -> None:
    endpoint = Endpoint()
    endpoint.refuses = lambda resource: BAD in str(resource.get("name"))
    with serving(endpoint, world.port), world.run() as run:
        world.publish([*came(1), change("patients", patient="2^^^GH", family=BAD), *came(3)])
        eventually(lambda: status(endpoint, "in-progress") == 2)
        eventually(lambda: "Refused" in headrace(world.env, "dead", "list", "fhir").stdout)
        assert run.end() == 0
    [line] = headrace(world.env, "dead", "list", "fhir", "--json").stdout.splitlines()
    letter = orjson.loads(line)
    assert letter["reason"] == "status 422 business-rule at Patient.name"
    assert letter["sealed"] is True
    assert BAD not in line + world.log.read_text()


def test_without_a_server_the_flow_says_what_to_set(world: World) -> None:
    env = {k: v for k, v in world.env.items() if k != "HEADRACE_ADT__FHIR_BASE"}
    with Run(env, ("fhir",), world.log) as run:
        assert run.process.wait(PATIENCE_S) == 2
    assert "adt.fhir_base is empty" in world.log.read_text()


@pytest.mark.parametrize("base", ["ftp://h/fhir", "http://example.org/fhir", "https://u:p@h/fhir"])
def test_an_address_that_others_could_read_on_is_refused(base: str, tmp_path: Path) -> None:
    env = settings("127.0.0.1:9", "redis://127.0.0.1:9", tmp_path, HEADRACE_ADT__FHIR_BASE=base)
    done = headrace(env, "config", "fhir")
    assert done.returncode == 2
    assert "adt.fhir_base" in done.stderr


def test_the_token_is_masked_and_no_part_of_a_settings_file(tmp_path: Path) -> None:
    env = settings("127.0.0.1:9", "redis://127.0.0.1:9", tmp_path, HEADRACE_ADT__FHIR_TOKEN="abc")
    assert "abc" not in headrace(env, "config", "fhir").stdout
    path = tmp_path / "headrace.toml"
    path.write_text('[adt]\nfhir_token = "abc"\n')
    done = headrace(env, "config", "fhir", "--config", str(path))
    assert done.returncode == 2
    assert "is a secret" in done.stderr
