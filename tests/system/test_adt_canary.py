"""What is planted in messages is nowhere at rest, in no log, no metric and no answer of an error.

Through the listener, Kafka, the flow, Redis, history and PostgreSQL, the feed, recordings, replays
and exports. A control text in clear, planted in each server, in files and in a log, has to be found
by the same search.
"""

from __future__ import annotations

import base64
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types
import psycopg
import pytest
import redis
from pydantic import SecretStr

from connectors.redis.reader import RedisReader
from flows.__main__ import main
from flows.engine.ports import free_port
from flows.servers import KafkaBroker, Postgres, Valkey
from tests import producing
from tests.conftest import create_topic, empty_database
from tests.connectors.mllp.rig import Client
from tests.files import bytes_of, files_below
from tests.flows.runs import Run, headrace, settings
from tests.system.market import done, wait_until_done
from tests.system.planted import CONTROL, PLANTED, TAIL, holds, message
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(900)  # the first test waits for the whole run

COUNT = 40
PATIENCE_S = 120.0


class Ingest(Run):
    command = "ingest"


class Feed(Run):
    command = "feed"


@dataclass
class World:
    """The servers, the directory of all that ours write, and all that was printed or answered."""

    directory: Path
    env: dict[str, str]
    kafka: KafkaBroker
    valkey: Valkey
    postgres: Postgres
    told: list[str] = field(default_factory=list)

    def run(self, *words: str | Path) -> int:
        """Run a command; keep what it prints."""
        ended = headrace(self.env, *map(str, words))
        self.told += [ended.stdout, ended.stderr]
        return ended.returncode

    def get(self, url: str) -> str:
        """Return an answer, be it an error; keep it."""
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
                text = str(answer.read(), "utf-8")
        except urllib.error.HTTPError as error:
            text = str(error.read(), "utf-8")
        except OSError:
            return ""
        self.told.append(text)
        return text


@pytest.fixture(scope="module")
def world(
    own_kafka: KafkaBroker,
    own_valkey: Valkey,
    postgres: Postgres,
    tmp_path_factory: pytest.TempPathFactory,
) -> World:
    """Everything that can happen to a message has happened."""
    directory = tmp_path_factory.mktemp("canary")
    assert main(["keys", "new", str(directory / "keys.toml")]) == 0
    create_topic(own_kafka, "adt.raw", 1)
    ports = {f"HEADRACE_MLLP__{name}": str(free_port()) for name in ("PORT", "HTTP_PORT")}
    env = settings(
        own_kafka.bootstrap,
        own_valkey.url,
        directory,
        HEADRACE_SEALING__KEYS_FILE=str(directory / "keys.toml"),
        HEADRACE_POSTGRES__DSN=empty_database(postgres),
        HEADRACE_POSTGRES__RETENTION="36500d",
        HEADRACE_FEED__PORT=str(free_port()),
        **ports,
    )
    made = World(directory, env, own_kafka, own_valkey, postgres)
    _listen(made)
    _work(made)
    _serve(made)
    _use_tools(made)
    return made


def _listen(world: World) -> None:
    with Ingest(world.env, ("mllp",), world.directory / "mllp.log") as run:

        def connected() -> Client | None:
            try:
                address = ("127.0.0.1", int(world.env["HEADRACE_MLLP__PORT"]))
                return Client(socket.create_connection(address, PATIENCE_S))
            except OSError:
                return None

        client = eventually(connected, PATIENCE_S)
        for number in range(COUNT):
            client.send(message(f"C{number}", number))
        client.send(message("C0", 0), message("BAD", COUNT, version="9.9"))
        client.send(message("NOBODY", COUNT + 1, patient=False))
        codes = [client.ack().code for _ in range(COUNT + 3)]
        assert codes == ["AA"] * (COUNT + 1) + ["AR", "AA"]
        client.sock.sendall(b"\x0b" + message("CUT", COUNT + 2)[:-3])
        client.sock.close()
        metrics = f"http://127.0.0.1:{world.env['HEADRACE_MLLP__HTTP_PORT']}/metrics"
        assert "headrace_ingest_messages_total" in world.get(metrics)
        assert run.end() == 0, run.log.read_text()


def _work(world: World) -> None:
    ports = {"HEADRACE_RUN__HTTP_PORT": str(free_port(in_a_row=2))}
    history = Run(world.env | ports, ("history", "--from", "earliest"), world.directory / "h.log")
    words, bootstrap = ("adt", "--from", "earliest", "--debug"), world.kafka.bootstrap
    with Run(world.env, words, world.directory / "adt.log") as run:
        wait_until_done(bootstrap, "adt.raw", "headrace.adt.1", 1)
        world.told.append(str(run.probe("/metrics")[1]))
        with history as keeping:
            keeping.ready()
            for name in ("location_visits", "encounters"):
                wait_until_done(bootstrap, f"adt.{name}", "headrace.history.1", 1)
            world.told.append(str(keeping.probe("/metrics")[1]))
            assert keeping.end() == 0, keeping.log.read_text()
        _release(world)
        assert run.end() == 0, run.log.read_text()


def _release(world: World) -> None:
    """Hand the records on without names, in clear."""
    more = {
        "HEADRACE_RUN__HTTP_PORT": str(free_port(in_a_row=2)),
        "HEADRACE_ADT__DEIDENTIFY": "pseudonymised",
    }
    words = ("deid", "--from", "earliest")
    with Run(world.env | more, words, world.directory / "deid.log") as run:
        run.ready()
        for name in ("patients", "encounters"):
            wait_until_done(world.kafka.bootstrap, f"adt.{name}", "headrace.deid.1", 1)
        world.told.append(str(run.probe("/metrics")[1]))
        assert run.end() == 0, run.log.read_text()


def _serve(world: World) -> None:
    at = f"http://127.0.0.1:{world.env['HEADRACE_FEED__PORT']}"
    with Feed(world.env, (), world.directory / "feed.log") as run:
        eventually(lambda: world.get(f"{at}/"), PATIENCE_S)
        assert "<html" in world.get(f"{at}/")
        for path in (
            "metrics",
            "api/v1/latest/adt/location_visits",
            "api/v1/latest/adt/nothing",
            "api/v1/latest/adt/location_visits?visit=V1",
            "api/v1/history/adt/location_visits?from=x",
            "api/v1/values/adt/location_visits/visit",
            "api/v1/dead/adt",
        ):
            assert world.get(f"{at}/{path}")
        assert run.end() == 0, run.log.read_text()


def _use_tools(world: World) -> None:
    ours = world.directory
    assert world.run("dead", "list", "adt") == 0
    assert world.run("state", "show", "adt", "unknown") == 1
    bare = {name: value for name, value in world.env.items() if "SEALING" not in name}
    refused = headrace(bare, "state", "show", "adt", f"{PLANTED['VISIT']}0")
    world.told += [refused.stdout]
    assert refused.returncode == 2
    assert world.run("record", "adt.raw", "--out", ours / "in.parquet") == 0
    assert world.run("replay", "adt", ours / "in.parquet", "--out", ours / "out") == 0
    assert world.run("export", "adt", "--out", ours / "export") == 0
    for words in (("check",), ("keys", "count", "--system", "adt"), ("config", "adt")):
        world.run(*words)


def _files(world: World) -> Iterator[Path]:
    """All that Kafka, Valkey and PostgreSQL wrote, and all of ours, logs too."""
    with redis.Redis(port=world.valkey.port) as client:
        client.config_set("rdbcompression", "no")
        client.save()
    with psycopg.connect(world.env["HEADRACE_POSTGRES__DSN"], autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    kafka = Path(psutil.Process(world.kafka.pid).cwd())
    for place in (kafka, world.valkey.home, world.postgres.home, world.directory):
        yield from files_below(place)


def test_the_messages_went_all_the_way(world: World) -> None:
    listed = done(world.env, "dead", "list", "adt")
    assert "3 dead letters" in listed
    latest = RedisReader(SecretStr(world.valkey.url), "adt").latest("location_visits")
    assert len(latest) == COUNT
    released = RedisReader(SecretStr(world.valkey.url), "deid").latest("encounters")
    assert len(released) == COUNT
    assert all(b'"sealed"' not in value for value in map(bytes, released.values()))
    with psycopg.connect(world.env["HEADRACE_POSTGRES__DSN"]) as connection:
        rows = connection.execute("SELECT count(*) FROM adt_location_visits").fetchone()
    assert rows is not None
    assert rows[0] >= COUNT
    assert (world.directory / "out/tables/location_visits.jsonl").stat().st_size
    assert list((world.directory / "state").rglob("*.sqlite3"))


def test_nothing_that_was_planted_is_at_rest_or_told(world: World) -> None:
    assert [str(path) for path in _files(world) if holds(bytes_of(path), TAIL)] == []
    assert [text[:200] for text in world.told if holds(text.encode(), TAIL)] == []


def test_the_search_finds_what_is_in_clear_in_each_of_these_places(world: World) -> None:
    producer = producing.producer(world.kafka.bootstrap)
    create_topic(world.kafka, "control", 1)
    producer.produce("control", base64.b64encode(f"PID|1||{CONTROL}".encode()))
    assert producer.flush(PATIENCE_S) == 0
    with redis.Redis(port=world.valkey.port) as client:
        client.hset("control", "field", CONTROL)
    with psycopg.connect(world.env["HEADRACE_POSTGRES__DSN"], autocommit=True) as connection:
        connection.execute("CREATE TABLE control (text text)")
        connection.execute("INSERT INTO control VALUES (%s)", [CONTROL.encode().hex()])
    (world.directory / "control.log").write_text(CONTROL, encoding="utf-16")
    found = [path for path in _files(world) if holds(bytes_of(path), CONTROL)]
    kafka = Path(psutil.Process(world.kafka.pid).cwd())
    for place in (kafka, world.valkey.home, world.postgres.home, world.directory):
        assert any(path.is_relative_to(place) for path in found), place


def test_the_search_finds_the_plaintext_of_the_same_messages(world: World, tmp_path: Path) -> None:
    done(world.env, "record", "adt.raw", "--out", tmp_path / "clear.parquet", "--plaintext")
    words = ("--out", tmp_path / "clear", "--plaintext")
    done(world.env, "replay", "adt", tmp_path / "clear.parquet", *words)
    table = bytes_of(tmp_path / "clear/tables/location_visits.jsonl")
    for name in ("PID3", "VISIT", "WARD"):
        assert holds(table, PLANTED[name]), name
    dead = bytes_of(tmp_path / "clear/dead.jsonl")
    for name, text in PLANTED.items():
        if name != "PID3":  # the letter is of a message without one; its value is in base64
            assert holds(dead, text), name
    shown = done(world.env, "dead", "show", "adt")
    assert all(text in shown for text in PLANTED.values())


@pytest.mark.parametrize("around", [b"", b"a", b"ab", b"abc"])
def test_a_text_is_found_wherever_its_base64_begins(around: bytes) -> None:
    for text in PLANTED.values():
        encoded = base64.b64encode(around + text.encode() + around)
        assert holds(encoded, text)
        assert holds(encoded, TAIL)
        assert not holds(encoded, CONTROL)
