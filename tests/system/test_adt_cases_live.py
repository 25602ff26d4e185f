"""All cases from the field at once: through the listener, Kafka, a flow that is killed, and Redis.

Each case is a hospital of its own, so that they do not meet; its messages come twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import orjson
import pytest

from connectors.hl7.files import contents
from flows.engine.ports import free_port
from flows.servers import KafkaBroker, Valkey
from replay.files import table_lines
from state.adt.outputs import OUTPUTS
from state.sealing import Keyring, Seal
from tests.conftest import create_topic
from tests.flows.runs import Run, settings
from tests.flows.test_ingest import Ingest
from tests.reference.adt import Timeline
from tests.reference.test_adt_cases import BY_NAME, check, needs_cases
from tests.system.market import done, wait_until_done, written

pytestmark = [needs_cases, pytest.mark.timeout(600)]
GROUP = "headrace.adt.1"
HOSPITAL = b"GH"
NAMES = [name for name, case in BY_NAME.items() if not case.get("settings")]
"""A setting of one case would count for all."""


def messages(name: str) -> Iterator[bytes]:
    """Yield the messages of a case, whose hospital has the case's name."""
    for file in BY_NAME[name]["input"]["files"]:
        for raw in contents(file["bytes"].encode("latin-1")).messages:
            yield raw.replace(HOSPITAL, name.encode())


@pytest.fixture(scope="module")
def env(
    own_kafka: KafkaBroker, own_valkey: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    directory = tmp_path_factory.mktemp("cases")
    (directory / "keys.toml").write_text(Keyring.generate().text())
    create_topic(own_kafka, "adt.raw", 3)
    return settings(
        own_kafka.bootstrap,
        own_valkey.url,
        directory,
        HEADRACE_SEALING__KEYS_FILE=str(directory / "keys.toml"),
        HEADRACE_MLLP__PORT=str(free_port()),
        HEADRACE_MLLP__HTTP_PORT=str(free_port()),
    )


@pytest.fixture(scope="module")
def tables(
    env: dict[str, str], own_kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[dict[str, Any]]]:
    """The tables that an export has, in clear."""
    directory = tmp_path_factory.mktemp("live")
    halves = [[raw for name in NAMES for raw in messages(name)]] * 2
    log = directory / "adt.log"
    with Ingest(env, ("mllp",), directory / "mllp.log"):
        for number, raws in enumerate(halves):
            path = directory / f"{number}.hl7"
            # The second time in another envelope, so that the listener stores them again.
            sent = [_numbered(raw, number) for raw in raws]
            path.write_bytes(b"".join(b"\x0b%b\x1c\r" % raw for raw in sent))
            first = () if number else ("--from", "earliest")
            with Run(env, ("adt", "--workers", "2", *first), log) as run:
                run.ready(2)
                told = done(env, "ingest", "mllp", "--send", str(path))
                assert told.startswith(f"{len(raws)} accepted, 0 refused, 0 not taken")
                if number == 0:
                    run.workers()[0].kill()
                    group = run.workers()
                    run.process.kill()
                    for worker in group:
                        worker.kill()
                else:
                    wait_until_done(own_kafka.bootstrap, "adt.raw", GROUP, 3)
                    assert run.end() == 0, log.read_text()
    out = directory / "exported"
    assert written(env, "export", "adt", "--out", out)["dead.jsonl"][0] == 0
    seal = Seal(Keyring.parse(Path(env["HEADRACE_SEALING__KEYS_FILE"]).read_text()))
    return {
        output.name: [
            orjson.loads(line)
            for sealed in (out / f"tables/{output.name}.jsonl").open("rb")
            for line in table_lines(output, seal.unseal(output.topic, sealed.strip()))
        ]
        for output in OUTPUTS
        if output.keyed
    }


def _numbered(raw: bytes, number: int) -> bytes:
    """Return a message with another id (MSH-10) where it has one."""
    head, cr, rest = raw.partition(b"\r")
    fields = head.split(head[3:4])
    if number and len(fields) > 9 and fields[9]:
        fields[9] += b"-%d" % number
    return head[3:4].join(fields) + cr + rest


TABLES = fields(Timeline)


@pytest.mark.parametrize("name", NAMES)
def test_a_case_has_its_tables_through_everything(tables, name):
    of_case = {
        table: [row for row in rows if row["domain"] == name] for table, rows in tables.items()
    }
    check(BY_NAME[name]["expect"], Timeline(**{each.name: of_case[each.name] for each in TABLES}))
