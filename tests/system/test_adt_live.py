"""Patient care through real servers and kills: retracted, sealed, and nowhere in clear.

One run of it all, in order: two workers, of which one is killed, then both and their supervisor;
the keys are rotated; one worker goes on. Each test is of what that left behind.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import psutil  # type: ignore[import-untyped]  # it ships no types
import psycopg
import pytest
import redis
from confluent_kafka import Consumer, TopicPartition
from playwright.sync_api import Locator, expect
from psycopg import sql
from pydantic import SecretStr

from connectors.redis.reader import RedisReader
from connectors.web.client import Table, follow
from flows.__main__ import main
from flows.engine.ports import free_port
from flows.servers import KafkaBroker, Postgres, Valkey
from replay.files import table_lines
from replay.message import Message
from replay.partitioner import partition_of
from state.adt.outputs import LOCATION_VISITS, OUTPUTS
from state.clock import NS
from state.outputs import to_json
from state.sealed_values import ValueSealer
from state.sealing import Keyring, Seal
from tests import producing
from tests.conftest import create_topic, empty_database
from tests.connectors.web.browsing import Visit, chromium, require_chromium, visit
from tests.connectors.web.keys import ED, jwks, token
from tests.files import bytes_of, files_below
from tests.flows.runs import Run, headrace, settings
from tests.replay.recordings import write
from tests.replay.rotating import killed_after
from tests.system.adt import CANARY, START_NS, expected, hl7, key, messages
from tests.system.market import done, records, wait_until_done, written
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(900)  # the first test waits for the whole run

PARTITIONS = 2
VISITS = f"{CANARY}V"
"""Visit numbers are secret as well: they must be hashes wherever a key is."""
FIRST = messages(2, 300, PARTITIONS, VISITS)
ENDS = Counter(message.partition for message in FIRST)
LATER = [
    message._replace(offset=message.offset + ENDS[message.partition])
    for message in messages(3, 350, PARTITIONS, VISITS)
]
"""What comes after the rotation: of new visits, and more of the old ones."""
MESSAGES = FIRST + LATER
CUTS = (250, 500)
"""The first messages come in peace; behind each cut something is killed."""
PATIENCE_S = 120.0
GROUP = "headrace.adt.1"
NOT_IN_CLEAR = CANARY.encode()


@dataclass
class World:
    """The servers, the directories, and the settings that reach them."""

    directory: Path
    env: dict[str, str]
    kafka: KafkaBroker
    valkey: Valkey
    postgres: Postgres
    dsn: str

    @property
    def keyring(self) -> Keyring:
        """The keys as they are now."""
        return Keyring.parse(self.keys.read_text())

    @property
    def keys(self) -> Path:
        return self.directory / "keys.toml"

    @property
    def reader(self) -> RedisReader:
        return RedisReader(SecretStr(self.valkey.url), "adt")

    def publish(self, given: Iterable[Message]) -> None:
        """Send messages as they were recorded, sealed; done means acknowledged."""
        producer = producing.producer(self.kafka.bootstrap)
        sealer = ValueSealer(Seal(self.keyring), "adt.raw")
        for m in given:
            stamp, value = m.timestamp_ns // 1_000_000, sealer.seal(m.value or b"")
            producer.produce(m.topic, value, m.key, partition=m.partition, timestamp=stamp)
        assert producer.flush(PATIENCE_S) == 0

    def entries(self) -> int:
        """How many records of the timeline Redis was given."""
        return sum(1 for _ in self.reader.entries("location_visits"))

    def wait(self) -> None:
        """Wait until all that was published is worked on for good."""
        wait_until_done(self.kafka.bootstrap, "adt.raw", GROUP, PARTITIONS)

    def query(self, text: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(text.encode()).fetchall()


@pytest.fixture(scope="module")
def world(
    own_kafka: KafkaBroker,
    own_valkey: Valkey,
    postgres: Postgres,
    tmp_path_factory: pytest.TempPathFactory,
) -> World:
    """Empty servers and the keys."""
    directory = tmp_path_factory.mktemp("adt")
    assert main(["keys", "new", str(directory / "keys.toml")]) == 0
    create_topic(own_kafka, "adt.raw", PARTITIONS)
    dsn = empty_database(postgres)
    env = settings(
        own_kafka.bootstrap,
        own_valkey.url,
        directory,
        HEADRACE_SEALING__KEYS_FILE=str(directory / "keys.toml"),
        HEADRACE_POSTGRES__DSN=dsn,
        HEADRACE_POSTGRES__RETENTION="36500d",
    )
    return World(directory, env, own_kafka, own_valkey, postgres, dsn)


@pytest.fixture(scope="module")
def killed(world: World) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an export wrote after the kills, and what a replay of the same messages wrote."""
    first, second = CUTS
    words = ("adt", "--workers", "2", "--from", "earliest")
    log = world.directory / "adt.log"
    world.publish(FIRST[:first])
    with Run(world.env, words, log) as run:
        run.ready(2)
        eventually(world.entries, PATIENCE_S)
        world.publish(FIRST[first:second])
        workers = run.workers()
        workers[0].kill()
        eventually(lambda: _anew(run, {each.pid for each in workers}), PATIENCE_S)
        eventually(lambda: run.probe("/ready")[0] == 200, PATIENCE_S)
        world.publish(FIRST[second:])
        group = run.workers()
        run.process.kill()
        for worker in group:
            worker.kill()
    with Run(world.env, ("adt", "--workers", "2"), log) as run:
        world.wait()
        assert run.end() == 0, log.read_text()
    out = world.directory / "killed"
    exported = written(world.env, "export", "adt", "--out", out)
    recording = write(world.directory / "killed.parquet", {"adt.raw": 2}, FIRST)
    replayed = world.directory / "replayed"
    return exported, written(world.env, "replay", "adt", recording, "--out", replayed)


def _anew(run: Run, before: set[int]) -> bool:
    now = {worker.pid for worker in run.workers()}
    return bool(now) and not now & before


@pytest.fixture(scope="module")
def rotated(world: World, killed: Any) -> Path:
    """The export after a rotation and the rest of the messages; PostgreSQL has it all too."""
    assert main(["keys", "rotate", str(world.keys)]) == 0
    log = world.directory / "rotated.log"
    history = world.env | {"HEADRACE_RUN__HTTP_PORT": str(free_port(in_a_row=2))}
    with (
        Run(history, ("history", "--from", "earliest"), world.directory / "history.log") as keeping,
        Run(world.env, ("adt", "--workers", "1"), log) as run,
    ):
        world.publish(LATER)
        world.wait()
        assert run.end() == 0, log.read_text()
        partitions = _partitions(world, "adt.location_visits")
        wait_until_done(
            world.kafka.bootstrap, "adt.location_visits", "headrace.history.1", partitions
        )
        assert keeping.end() == 0, keeping.log.read_text()
    out = world.directory / "rotated"
    written(world.env, "export", "adt", "--out", out)
    return out


@pytest.fixture(scope="module")
def plain(world: World) -> Path:
    """A replay of everything, in clear; outside of what is searched for clear text."""
    recording = write(world.directory / "all.parquet", {"adt.raw": 2}, MESSAGES)
    out = world.directory / "plain"
    written(world.env, "replay", "adt", recording, "--out", out, "--plaintext")
    return out


def test_what_was_killed_gives_the_sealed_bytes_of_a_replay(killed: Any) -> None:
    exported, replayed = killed
    assert exported == replayed
    assert exported["location_visits.jsonl"][0] > 300
    assert 100 < exported["tables/location_visits.jsonl"][0] < 300
    assert exported["dead.jsonl"][0] == PARTITIONS


def test_after_a_rotation_both_keys_open_to_a_replay_in_clear(
    world: World, rotated: Path, plain: Path
) -> None:
    seal = Seal(world.keyring)
    for name in ("location_visits.jsonl", "tables/location_visits.jsonl"):
        lines = (rotated / name).read_bytes().splitlines()
        opened = [seal.unseal(LOCATION_VISITS.topic, line) for line in lines]
        if name.startswith("tables/"):  # a sealed record is one line of it, a clear one its rows
            opened = [line for whole in opened for line in table_lines(LOCATION_VISITS, whole)]
        # Sealed files are in the order of the hashes.
        assert sorted(opened) == sorted((plain / name).read_bytes().splitlines())
        assert {orjson.loads(line)["key_id"] for line in lines} == {"k1", "k2"}
    letters = [orjson.loads(line) for line in (rotated / "dead.jsonl").open("rb")]
    assert len(letters) == 2 * PARTITIONS
    assert all(letter["sealed"] for letter in letters)


def test_redis_has_the_table_and_no_retracted_key(world: World, rotated: Path, plain: Path) -> None:
    seal = Seal(world.keyring)
    latest = world.reader.latest("location_visits")
    wanted = expected(MESSAGES)
    assert set(latest) == {seal.key(LOCATION_VISITS, key(visit)) for visit in wanted}
    opened = [orjson.loads(seal.unseal(LOCATION_VISITS.topic, value)) for value in latest.values()]
    assert {record["visit"]: record["stays"] for record in opened} == wanted
    entries = list(world.reader.entries("location_visits"))
    retracted = {orjson.loads(entry.value)["key"] for entry in entries if entry.retracted}
    assert len(retracted - set(latest)) > 20
    assert {seal.key(LOCATION_VISITS, gone) for gone in _gone(plain)} == retracted


def test_postgresql_has_the_same_latest_rows_and_every_retraction(
    world: World, rotated: Path
) -> None:
    rows = world.query("SELECT key, sealed FROM adt_location_visits_latest")
    latest = {
        k: orjson.loads(v)["sealed"] for k, v in world.reader.latest("location_visits").items()
    }
    assert dict(rows) == latest
    lines = records(rotated, "location_visits")
    gone = "headrace_retractions WHERE output = 'adt.location_visits'"
    for table, retracted in (("adt_location_visits", False), (gone, True)):
        found = world.query(f"SELECT id, key, key_id, sealed FROM {table}")
        wanted = [r for r in lines if r.get("retracted", False) is retracted]
        keys = ("id", "key", "key_id", "sealed")
        assert Counter(found) == Counter(tuple(r[name] for name in keys) for r in wanted)


def test_pages_rest_in_the_store_and_state_show_opens_them(world: World, rotated: Path) -> None:
    pages: Counter[str] = Counter()
    for part in (world.directory / "state").rglob("*.sqlite3"):
        with sqlite3.connect(part) as store:
            pages.update(dict(store.execute("SELECT step_id, count(*) FROM snaps GROUP BY 1")))
    assert pages["adt.timeline_pages"] > 200
    wanted = expected(MESSAGES)
    visit = next(iter(wanted))
    (shown,) = orjson.loads(done(world.env, "state", "show", "adt", visit))["shards"]
    assert [each["stays"] for each in shown["state"]["visits"]] == [wanted[visit]]
    [document] = shown["state"]["visits"]
    head, *causes = done(world.env, "state", "show", "adt", "visit", visit, "--why").splitlines()
    assert head == f"domain {document['domain']}, patient {document['patient']}, visit {visit}"
    assert causes == [
        f"  message {each['message']}, trigger {each['trigger']}, "
        f"time {each['time']}, recorded {each['recorded']}"
        for each in document["because"]
    ]
    end = f"|{visit.partition('^')[0]}".encode()
    assert len(causes) == len({e.value for e in MESSAGES if (e.value or b"").endswith(end)})
    bare = {k: v for k, v in world.env.items() if "SEALING" not in k}
    for more in ((), ("--why",)):
        refused = headrace(bare, "state", "show", "adt", visit, *more)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "HEADRACE_SEALING__KEYS_FILE" in refused.stderr
    for kind, number in (("patient", visit), ("visit", "nobody")):
        unknown = headrace(world.env, "state", "show", "adt", kind, number, "--why")
        assert (unknown.returncode, unknown.stdout) == (1, "")
        assert "knows nothing of" in unknown.stderr


def test_a_flow_does_not_start_with_other_keys(world: World, rotated: Path) -> None:
    other = world.directory / "other.toml"
    assert main(["keys", "new", str(other)]) == 0
    log = world.directory / "refused.log"
    with Run(world.env | {"HEADRACE_SEALING__KEYS_FILE": str(other)}, ("adt",), log) as run:
        assert run.process.wait(PATIENCE_S) == 2
    assert "the newest message of adt.raw does not open" in log.read_text()
    assert "'k2'" in log.read_text()


@pytest.fixture(scope="module")
def feed(world: World, rotated: Path) -> Iterator[str]:
    """The address of a gateway with the keys, which wants tokens."""
    port = free_port()
    more = {
        "HEADRACE_FEED__PORT": str(port),
        "HEADRACE_FEED__AUDIT": str(world.directory / "reads.jsonl"),
        "HEADRACE_FEED__JWKS": str(jwks(world.directory / "jwks.json", ED)),
    }
    with Gateway(world.env | more, (), world.directory / "feed.log"):
        address = f"http://127.0.0.1:{port}"
        eventually(partial(_answers, address), PATIENCE_S)
        yield address


class Gateway(Run):
    """`headrace feed` as a child process."""

    command = "feed"


SHOWN = 100
"""How many rows a table of the page has at most."""
READER, OPENER = "read:adt.*", "read:adt.* unseal"


@pytest.mark.parametrize("scope", [READER, OPENER])
@pytest.mark.parametrize("with_keys", [False, True])
def test_the_feed_shows_the_table_to_whoever_may_open_it(
    world: World, feed: str, scope: str, with_keys: bool
) -> None:
    opens = with_keys or scope == OPENER
    table = Table(LOCATION_VISITS.key if opens else ("key",))
    keyring = world.keyring if with_keys else None

    async def first() -> None:
        url, credentials = feed.replace("http", "ws", 1) + "/ws", token(scope=scope)
        updates = follow(url, ["adt.location_visits"], credentials, keyring)
        async with asyncio.timeout(PATIENCE_S), aclosing(updates):
            async for update in updates:
                table.take(update)
                if len(table.records) >= len(expected(MESSAGES)):
                    return

    asyncio.run(first())
    _is_the_table(world, list(table.records.values()), opens=opens)


@pytest.mark.parametrize("scope", [READER, OPENER])
def test_rest_answers_as_the_feed_does(world: World, feed: str, scope: str) -> None:
    found = [_with_numbers(record) for record in _latest(feed, scope)["records"]]
    _is_the_table(world, found, opens=scope == OPENER)


@contextmanager
def _page(feed: str, scope: str) -> Iterator[Visit]:
    """Open the page's table of the timeline with a token of this scope."""
    require_chromium()
    with chromium() as browser, visit(browser, f"{feed}/#outputs") as seen:
        seen.page.get_by_label("Token (JWT)").fill(token(scope=scope))
        seen.page.get_by_role("button", name="Connect").click()
        seen.page.get_by_label("Output", exact=True).select_option("adt.location_visits")
        expect(_rows_of(seen)).to_have_count(SHOWN)
        yield seen


def _rows_of(seen: Visit) -> Locator:
    return seen.page.get_by_role("region", name="Records of adt.location_visits").locator(
        "tbody tr"
    )


@pytest.mark.parametrize("scope", [READER, OPENER])
def test_the_page_shows_the_newest_rows_to_whoever_may_open_them(
    world: World, feed: str, scope: str
) -> None:
    wanted = expected(MESSAGES)
    with _page(feed, scope) as seen:
        names = _rows_of(seen).locator("th").all_inner_texts()
        documents = _rows_of(seen).locator("td.wrap").all_inner_texts()
        expect(seen.page.get_by_role("tabpanel")).to_contain_text(
            f"The newest {SHOWN} of {len(wanted)}." if scope == OPENER else "Sealed"
        )
        if scope == READER:
            assert set(names) <= set(world.reader.latest("location_visits"))
            assert CANARY not in seen.page.content()
            return
    stays = documents[1::3]  # between the messages that a visit follows from, and the wards
    found = dict(zip(names, map(orjson.loads, stays), strict=True))
    assert found == {name: wanted[name] for name in found}


def _with_numbers(given: Any) -> Any:
    """Return a record whose times are numbers again: REST writes them as texts."""
    if isinstance(given, list):
        return [_with_numbers(each) for each in given]
    if not isinstance(given, dict):
        return given
    return {
        name: int(value) if name.endswith("_ns") and value else _with_numbers(value)
        for name, value in given.items()
    }


def _is_the_table(world: World, found: list[dict[str, Any]], *, opens: bool) -> None:
    if opens:
        assert {record["visit"]: record["stays"] for record in found} == expected(MESSAGES)
    else:
        assert sorted(map(to_json, found)) == sorted(
            world.reader.latest("location_visits").values()
        )


def _latest(feed: str, scope: str) -> Any:
    asked = urllib.request.Request(
        f"{feed}/api/v1/latest/adt/location_visits",
        headers={"Authorization": f"Bearer {token(scope=scope)}"},
    )
    with urllib.request.urlopen(asked, timeout=PATIENCE_S) as answer:
        return orjson.loads(answer.read())


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=PATIENCE_S).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def test_a_cancel_takes_its_row_off_the_open_page(world: World, feed: str) -> None:
    with _page(feed, OPENER) as seen, Run(world.env, ("adt",), world.directory / "last.log") as run:
        gone = _rows_of(seen).locator("th").first.inner_text()
        at_ns = START_NS + 30 * 24 * 3600 * NS  # after all that was recorded of any visit
        visit_, _, hospital = gone.partition("^^^")
        cancel = hl7("A11", visit_, at_ns, at_ns, "0")
        place = partition_of(hospital.encode(), PARTITIONS)
        world.publish([Message("adt.raw", place, 0, at_ns, hospital.encode(), cancel)])
        eventually(lambda: gone not in _rows_of(seen).locator("th").all_inner_texts())
        expect(_rows_of(seen)).to_have_count(SHOWN)
        assert run.end() == 0, run.log.read_text()


def test_the_canary_is_nowhere_in_clear(world: World, feed: str, rotated: Path) -> None:
    for scope in (READER, OPENER):  # what is served in clear may be logged by nobody
        _latest(feed, scope)
    topics = {name: _content(world, name) for name in _topics(world)}
    assert {"adt.location_visits", "adt.dead", "__consumer_offsets"} <= topics.keys()
    for name in ("adt.raw", "adt.location_visits"):
        _sealed_in(topics[name])
    assert [name for name, content in topics.items() if NOT_IN_CLEAR in content] == []
    with redis.Redis(port=world.valkey.port) as client:
        client.config_set("rdbcompression", "no")
        client.save()
    _sealed_in((world.valkey.home / "dump.rdb").read_bytes())
    tables = {name: _rows(world, name) for (name,) in world.query(_TABLES)}
    _sealed_in(tables["adt_location_visits"])
    assert [name for name, content in tables.items() if NOT_IN_CLEAR in content] == []
    assert _clear(_files(world)) == []


_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"


def _sealed_in(content: bytes) -> None:
    """Check that a search of a place would find what is there."""
    assert b"k1" in content
    assert b"k2" in content


def _rows(world: World, table: str) -> bytes:
    with psycopg.connect(world.dsn) as connection:
        copy = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT").format(sql.Identifier(table))
        with connection.cursor().copy(copy) as rows:
            return b"".join(bytes(part) for part in rows)


def _files(world: World) -> Iterator[Path]:
    """All that Kafka, Valkey and PostgreSQL wrote, recovery's stores, exports and logs."""
    ours = world.directory
    kafka = Path(psutil.Process(world.kafka.pid).cwd())
    for place in (kafka, world.valkey.home, world.postgres.home, ours):
        for path in files_below(place):
            told = path.relative_to(place).parts
            if path.suffix != ".parquet" and (place != ours or told[0] != "plain"):
                yield path


def _clear(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if NOT_IN_CLEAR in bytes_of(path)]


def _topics(world: World) -> list[str]:
    consumer = Consumer({"bootstrap.servers": world.kafka.bootstrap, "group.id": "canary"})
    try:
        return sorted(consumer.list_topics(timeout=PATIENCE_S).topics)
    finally:
        consumer.close()


def _partitions(world: World, topic: str) -> int:
    consumer = Consumer({"bootstrap.servers": world.kafka.bootstrap, "group.id": "canary"})
    try:
        return len(consumer.list_topics(topic, timeout=PATIENCE_S).topics[topic].partitions)
    finally:
        consumer.close()


def _content(world: World, topic: str) -> bytes:
    """Return keys, values and headers of a topic; its log may be compressed."""
    consumer = Consumer(
        {
            "bootstrap.servers": world.kafka.bootstrap,
            "group.id": "canary",
            "enable.partition.eof": True,
        }
    )
    places = [TopicPartition(topic, p, 0) for p in range(_partitions(world, topic))]
    consumer.assign(places)
    parts: list[bytes] = []
    open_ends = len(places)
    while open_ends:
        for message in consumer.consume(1000, 1.0):
            if message.error():
                open_ends -= 1
            else:
                parts += [message.key() or b"", message.value() or b""]
                parts.append(repr(message.headers()).encode())
    consumer.close()
    return b"\n".join(parts)


def _gone(plain: Path) -> set[str]:
    return {r["key"] for r in records(plain, "location_visits") if r.get("retracted")}


def _held(world: World, seal: Seal) -> dict[str, list[str]]:
    """Return what rests in Redis and PostgreSQL, opened: a multiset, whatever the key."""
    found: dict[str, list[str]] = {"latest": [], "rows": []}
    for output in SECRETS:
        for value in world.reader.latest(output.name).values():
            found["latest"].append(seal.unseal(output.topic, value).decode())
        names = f"id, key, {output.time}, key_id, sealed"
        for row in world.query(f"SELECT {names} FROM adt_{output.name}"):
            envelope = dict(zip(("id", "key", output.time, "key_id", "sealed"), row, strict=True))
            found["rows"].append(seal.unseal_fields(output.topic, envelope).decode())
    return {name: sorted(each) for name, each in found.items()}


SECRETS = [output for output in OUTPUTS if output.secret]
RESEALED = ("snapshots of adt, generation 1", "latest values in Redis", "rows in PostgreSQL")
AGES_OUT = ("entries of streams in Redis", "messages of adt.raw", "messages of adt.dead")


def _counted(world: World, action: str) -> dict[str, tuple[int, int]]:
    """Return what `headrace keys` counts: of a former key, and in all."""
    done_ = headrace(world.env, "keys", action, "--system", "adt")
    assert (done_.returncode, done_.stderr) == (1, ""), "topics and streams age out"
    lines = [line.partition(" name a key from before k3")[0] for line in done_.stdout.splitlines()]
    parts = [line.split(" ", 3) for line in lines]
    return {what: (int(former), int(sealed)) for former, _, sealed, what in parts}


def test_a_rotation_through_kills_seals_all_that_rests_with_the_new_key(
    world: World, rotated: Path
) -> None:
    assert main(["keys", "rotate", str(world.keys)]) == 0
    before, keyring = _held(world, Seal(world.keyring)), world.keyring
    counted = _counted(world, "count")
    assert all(counted[what][0] > 0 for what in (*RESEALED, *AGES_OUT)), counted
    rng = random.Random(10)
    killed = [killed_after(rng.randrange(10, 400), world.env, "--system", "adt") for _ in range(6)]
    assert any(killed)
    again = _counted(world, "count")
    assert sum(again[what][0] for what in RESEALED) < sum(counted[what][0] for what in RESEALED)
    assert _held(world, Seal(keyring)) == before
    assert sum(_counted(world, "rotate")[what][0] for what in RESEALED) == 0
    newest = Keyring({"k3": keyring.keys["k3"]}, "k3", keyring.index)
    assert _held(world, Seal(newest)) == before
    world.keys.write_text(newest.text())
    visit_ = next(iter(expected(MESSAGES)))
    assert orjson.loads(done(world.env, "state", "show", "adt", visit_))["shards"]
    ended = _counted(world, "count")
    assert {what: ended[what][0] for what in AGES_OUT} == {
        what: counted[what][0] for what in AGES_OUT
    }
    world.keys.write_text(keyring.text())  # adt.raw has not aged out yet
    with Run(world.env, ("adt",), world.directory / "renewed.log") as run:
        run.ready()
        assert run.end() == 0, run.log.read_text()
