"""`headrace ingest mllp` as a user runs it: its end, its restart, its settings, and --send."""

from __future__ import annotations

import signal
import socket
import urllib.request
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import orjson
import psutil  # type: ignore[import-untyped]  # it ships no types
import pytest

from connectors.kafka.client import Cluster
from flows.adt.settings import Adt
from flows.config import load
from flows.engine.open_files import allow_connections
from flows.engine.ports import free_port
from flows.engine.systems import systems
from flows.settings.part import settings_hash
from tests.connectors.mllp.rig import KEYS, Ack, Client, framed, message, opened
from tests.flows.runs import Run, headrace, settings
from tests.waiting import PATIENCE_S, eventually


class Ingest(Run):
    """`headrace ingest` as a child process."""

    command = "ingest"


@pytest.fixture
def env(kafka, topic, tmp_path) -> dict[str, str]:
    """Settings of a listener with a topic of its own."""
    return settings(
        kafka.bootstrap,
        "redis://127.0.0.1:1/0",
        tmp_path,
        HEADRACE_ADT__TOPIC=topic(),
        HEADRACE_SEALING__KEYS=KEYS.text(),
        HEADRACE_MLLP__PORT=str(free_port()),
        HEADRACE_MLLP__HTTP_PORT=str(free_port()),
    )


@contextmanager
def running(env: dict[str, str], log: Path):
    """Run a listener until the end of the block; yield it and what connects to it."""
    with Ingest(env, ("mllp",), log) as run:

        def connected() -> Client | None:
            assert run.process.poll() is None, log.read_text()
            try:
                address = ("127.0.0.1", int(env["HEADRACE_MLLP__PORT"]))
                return Client(socket.create_connection(address, PATIENCE_S))
            except OSError:
                return None

        eventually(connected).sock.close()
        yield run, lambda: eventually(connected)


def stored(env: dict[str, str]) -> list[bytes]:
    return opened(Cluster(env["HEADRACE_KAFKA__BOOTSTRAP"]), env["HEADRACE_ADT__TOPIC"])


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_stored_before_a_restart_is_not_stored_again(env, tmp_path, end):
    log = tmp_path / "mllp.log"
    names = [f"C{number}" for number in range(50)]
    with running(env, log) as (run, connect):
        client = connect()
        client.send(*map(message, names))
        assert [client.ack() for _ in names] == [Ack("AA", name) for name in names]
        code = run.end(end)
        assert code == (0 if end == signal.SIGTERM else -signal.SIGKILL), log.read_text()
        assert client.is_closed()
    with running(env, log) as (_, connect):
        client = connect()
        client.send(*map(message, [*names, "C50"]))
        assert [client.ack() for _ in range(51)] == [Ack("AA", f"C{n}") for n in range(51)]
    assert stored(env) == [message(name) for name in [*names, "C50"]]
    assert b"TESTCASE" not in log.read_bytes()


def test_sigterm_closes_although_clients_hold_on(env, tmp_path):
    log = tmp_path / "mllp.log"
    with running(env, log) as (run, connect):
        client, halfway = connect(), connect()
        client.send(message("C1"))
        assert client.ack() == Ack("AA", "C1")
        halfway.sock.sendall(b"\x0bMSH|^~")
        assert run.end() == 0, log.read_text()
        assert client.is_closed()
        assert halfway.is_closed()


def test_its_metrics_and_probes_are_on_loopback_and_name_no_patient(env, tmp_path):
    with running(env, tmp_path / "mllp.log") as (_, connect):
        client = connect()
        client.send(message("C1"), message("C1"), b"TESTCASE", message("K", "ACK^A01"))
        assert [client.ack().code for _ in range(3)] == ["AA", "AA", "AR"]
        base = f"http://127.0.0.1:{env['HEADRACE_MLLP__HTTP_PORT']}"

        def metrics() -> str:
            return _text(f"{base}/metrics")

        for outcome, count in (("stored", 1), ("repeated", 1), ("refused", 1), ("unanswered", 1)):
            labels = f'listener="mllp",outcome="{outcome}"'
            eventually(
                partial(_has, metrics, f"headrace_ingest_messages_total{{{labels}}} {count}.0")
            )
        assert 'headrace_ingest_connections{listener="mllp"} 1.0' in metrics()
        assert "TESTCASE" not in metrics()
        assert '"ready":true' in _text(f"{base}/ready")


IDLE = 1000
MOST_MIB = 64 + 2 * 8


def test_a_thousand_idle_connections_cost_little_memory(env, tmp_path):
    allow_connections(IDLE, "this test")
    with running(env, tmp_path / "mllp.log") as (run, connect):
        process = psutil.Process(run.process.pid)
        before = process.memory_info().rss
        clients = [connect() for _ in range(IDLE)]
        clients[-1].send(message("C1"))
        assert clients[-1].ack() == Ack("AA", "C1")
        gauge = f'headrace_ingest_connections{{listener="mllp"}} {IDLE}.0'
        port = env["HEADRACE_MLLP__HTTP_PORT"]
        eventually(lambda: gauge in _text(f"http://127.0.0.1:{port}/metrics"))
        assert process.memory_info().rss - before < MOST_MIB << 20
        for client in clients:
            client.sock.close()


def _text(url: str) -> str:
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
        return str(answer.read(), "utf-8")


def _has(text: Callable[[], str], wanted: str) -> bool:
    return wanted in text()


def test_files_are_sent_and_counted(env, tmp_path):
    framed_file, plain = tmp_path / "framed.hl7", tmp_path / "plain.hl7"
    framed_file.write_bytes(framed(message("C1"), message("C2")))
    plain.write_bytes(message("C3").replace(b"\r", b"\r\n") + message("C4"))
    bad = tmp_path / "bad.hl7"
    bad.write_bytes(message("C5").replace(b"|2.5.1", b"|9.9") + message("C6"))
    with running(env, tmp_path / "mllp.log"):
        done = headrace(env, "ingest", "mllp", "--send", str(framed_file), str(plain))
        assert (done.returncode, done.stdout) == (0, "4 accepted, 0 refused, 0 not taken\n")
        done = headrace(env, "ingest", "mllp", "--send", str(bad))
        assert done.returncode == 1
        assert done.stdout == "message 1: AR 203\n1 accepted, 1 refused, 0 not taken\n"
    assert len(stored(env)) == 5


def test_a_refused_message_is_shown_and_retried_as_other_dead_letters_are(env, tmp_path):
    refused = message("C1").replace(b"|2.5.1", b"|9.9")
    with running(env, tmp_path / "mllp.log") as (_, connect):
        client = connect()
        client.send(refused)
        assert client.ack() == Ack("AR", "C1", "203")
    done = headrace(env, "dead", "list", "adt", "--json")
    rows = [orjson.loads(line) for line in done.stdout.splitlines()]
    [at] = [
        r["coordinates"] for r in rows if r["coordinates"].startswith(env["HEADRACE_ADT__TOPIC"])
    ]
    shown = headrace(env, "dead", "show", "adt", "--coordinates", at)
    assert "TESTCASE^ALPHA" in shown.stdout
    assert headrace(env, "dead", "retry", "adt", "--coordinates", at).returncode == 0
    assert stored(env) == [refused]


def test_what_cannot_be_sent_or_served_is_misuse(env, tmp_path):
    done = headrace(env, "ingest", "mllp", "--send", str(tmp_path / "missing"))
    assert (done.returncode, "cannot read" in done.stderr) == (2, True)
    keyless = {name: value for name, value in env.items() if "SEALING" not in name}
    done = headrace(keyless, "ingest", "mllp")
    assert (done.returncode, "there is no key" in done.stderr) == (2, True)
    done = headrace(env | {"HEADRACE_ADT__TOPIC": "no.such"}, "ingest", "mllp")
    assert (done.returncode, "has no topic no.such" in done.stderr) == (2, True)


def test_no_setting_of_the_listener_is_in_the_flows_hash():
    tables = next(each.settings for each in systems() if each.name == "adt")
    assert {"adt", "mllp"} <= tables.keys()
    plain = load(environ={}).settings
    other = load(
        environ={"HEADRACE_MLLP__PORT": "1", "HEADRACE_MLLP__ALWAYS_ACCEPT": "true"}
    ).settings
    assert settings_hash(plain.of(Adt), 4) == settings_hash(other.of(Adt), 4)
