"""`headrace keys count` knows of codes, of reasons, and of messages that never opened."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import orjson
import psycopg
import pytest

from connectors.adt.codes import kept_codes
from connectors.kafka.client import Cluster
from connectors.kafka.sink import letter_message
from connectors.kafka.topics import ensure_topics
from connectors.web.reads import Read, Reads
from connectors.web.trail import Trail
from operators.audit import AuditChain
from replay.files import dead_record
from replay.rotation import fault
from state.errors import Misuse
from state.outputs import to_json
from state.records import Coordinates, DeadLetter
from state.sealed_values import ValueOpener, ValueSealer
from state.sealing import Keyring, Seal
from tests import producing
from tests.flows.runs import headrace, settings
from tests.waiting import PATIENCE_S

OLD = Keyring.generate()
NEW = OLD.rotated()
ONLY_NEW = Keyring({"k2": NEW.keys["k2"]}, "k2", NEW.index)
STRANGER = Keyring({"k7": Keyring.generate().keys["k1"]}, "k7", OLD.index)
SYSTEM = ("--system", "adt")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    more = {
        "HEADRACE_SEALING__KEYS": NEW.text(),
        "HEADRACE_POSTGRES__DSN": "postgresql://127.0.0.1:1/none",
        "HEADRACE_FEED__AUDIT": str(tmp_path / "reads.jsonl"),
    }
    return settings("127.0.0.1:1", "redis://127.0.0.1:1", tmp_path, **more)


def keys(env: dict[str, str], *words: object) -> tuple[int, list[str]]:
    """Run `headrace keys`; return its exit code and what it counts."""
    done = headrace(env, "keys", *map(str, words))
    return done.returncode, done.stdout.splitlines()


@pytest.fixture
def codes(tmp_path: Path) -> Path:
    """A table of codes under the old key, beside the key file."""
    path = tmp_path / "adt.codes"
    with kept_codes(path, Seal(OLD)) as made:
        made.code("patient", ("GH", "7"))
    return path


def code(path: Path, keyring: Keyring) -> str:
    with kept_codes(path, Seal(keyring)) as kept:
        return kept.known['["patient","GH","7"]']


def test_a_table_of_codes_is_counted_and_sealed_anew(env, codes):
    before = code(codes, OLD)
    assert keys(env, "count", codes) == (1, [f"1 of 1 tables in {codes} name a key from before k2"])
    with pytest.raises(Misuse, match="no key 'k1'"):
        code(codes, ONLY_NEW)
    assert keys(env, "rotate", codes) == (
        0,
        [f"0 of 1 tables in {codes} name a key from before k2"],
    )
    assert code(codes, ONLY_NEW) == before
    assert codes.stat().st_mode & 0o777 == 0o600


def test_codes_of_another_name_are_found_by_what_they_are_said_to_be(env, codes):
    other = codes.rename(codes.with_name("release"))
    assert keys(env, "rotate", other)[0] == 1
    assert code(other, OLD), "what does not open is left as it was"
    assert keys(env, "rotate", other, "--output", "adt.codes")[0] == 0
    assert code(other, ONLY_NEW)


@pytest.fixture
def audit(tmp_path: Path) -> Iterator[Path]:
    """An audit with a reason under the old key, which its gateway has open."""
    path = tmp_path / "reads.jsonl"
    with closing(Trail(path, AuditChain("reads"))) as trail:
        for reason in ("", "found unconscious", ""):
            read = Read("dr.ames", "127.0.0.1", "subscribe", "adt.beds", records=1, reason=reason)
            Reads(trail, Seal(OLD)).add(read).result(PATIENCE_S)
        yield path


@pytest.mark.parametrize("action", ["count", "rotate"])
def test_reasons_in_an_audit_are_counted_and_never_changed(env, audit, action):
    before = audit.read_bytes()
    assert keys(env, action, audit) == (
        1,
        [f"1 of 1 reasons in {audit} name a key from before k2"],
    )
    assert audit.read_bytes() == before
    assert keys(env | {"HEADRACE_SEALING__KEYS": OLD.text()}, "count", audit)[0] == 0


def test_what_is_no_audit_behind_its_first_line_is_told(env, audit):
    audit.write_bytes(audit.read_bytes() + b'{"what":{}}\n')
    done = headrace(env, "keys", "count", str(audit))
    assert (done.returncode, "no entry of an audit of reads" in done.stderr) == (1, True)


def unopened(message: Keyring, letter: Keyring) -> DeadLetter:
    """Return a sealed letter of a message that was sealed with other keys."""
    sealed = ValueSealer(Seal(message), "adt.raw").seal(b"MSH|1")
    where = Coordinates("adt.raw", 0, 1)
    return Seal(letter).letter("adt", DeadLetter(where, 0, b"GH", sealed, "Unopened", "no key"))


def dead(path: Path, letter: DeadLetter, most: int = 1000) -> Path:
    path.write_bytes(to_json(dead_record(letter, most)) + b"\n")
    return path


@pytest.mark.parametrize("outer", [OLD, NEW])
def test_a_message_inside_of_a_letter_is_counted_and_sealed_anew(env, tmp_path, outer):
    path = dead(tmp_path / "dead.jsonl", unopened(OLD, outer))
    words = (path, "--output", "adt.dead")
    assert keys(env, "count", *words) == (1, [f"1 of 1 lines of {path} name a key from before k2"])
    assert keys(env, "rotate", *words)[0] == 0
    seal = Seal(ONLY_NEW)
    inside = seal.open(base64.b64decode(orjson.loads(path.read_bytes())["value"]), "adt.dead")
    assert ValueOpener(seal).open("adt.raw", inside) == b"MSH|1"


def test_a_message_whose_key_is_not_here_stays_and_is_counted(env, tmp_path):
    path = dead(tmp_path / "dead.jsonl", unopened(STRANGER, OLD))
    words = (path, "--output", "adt.dead")
    assert keys(env, "rotate", *words) == (1, [f"1 of 1 lines of {path} name a key from before k2"])
    seal = Seal(ONLY_NEW)
    inside = seal.open(base64.b64decode(orjson.loads(path.read_bytes())["value"]), "adt.dead")
    assert ValueOpener(Seal(STRANGER)).open("adt.raw", inside) == b"MSH|1"


def test_a_letter_in_clear_may_hold_a_sealed_message(env, tmp_path):
    sealed = ValueSealer(Seal(OLD), "adt.raw").seal(b"MSH|1")
    letter = DeadLetter(Coordinates("adt.raw", 0, 1), 0, None, sealed, "Unopened", "no key")
    path = dead(tmp_path / "dead.jsonl", letter)
    assert keys(env, "count", path, "--output", "adt.dead")[0] == 1
    assert keys(env, "rotate", path, "--output", "adt.dead")[0] == 0
    value = base64.b64decode(orjson.loads(path.read_bytes())["value"])
    assert ValueOpener(Seal(ONLY_NEW)).open("adt.raw", value) == b"MSH|1"


def test_a_letter_that_was_too_large_holds_nothing_that_needs_a_key(env, tmp_path):
    path = dead(tmp_path / "dead.jsonl", unopened(OLD, NEW), most=10)
    assert keys(env, "count", path, "--output", "adt.dead")[0] == 0


def test_a_database_without_the_tables_is_told_as_that(env, database):
    env["HEADRACE_POSTGRES__DSN"] = database
    told = headrace(env, "keys", "count", *SYSTEM).stderr
    assert 'PostgreSQL refuses it: relation "adt_location_visits" does not exist\n' in told


def test_what_a_row_holds_is_in_no_fault(database):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE seen (name text UNIQUE, age int)")
        connection.execute("INSERT INTO seen VALUES ('CANARY', 1)")
        for values in (("CANARY", 1), ("x", "CANARY")):
            with pytest.raises(psycopg.Error, match="CANARY") as found:
                connection.execute("INSERT INTO seen VALUES (%s, %s::text::int)", values)
            assert fault(found.value).startswith("PostgreSQL refuses it: ")
            assert "CANARY" not in fault(found.value)


def test_a_fault_of_ours_is_no_fault_of_a_place(env, codes, monkeypatch):
    def wrong(*_: object) -> None:
        raise ValueError("ours")

    monkeypatch.setattr("replay.rotation.closing_key", wrong)
    with pytest.raises(ValueError, match="ours"):
        headrace(env, "keys", "count", str(codes))


def test_all_of_a_system_is_counted(env, codes, audit, own_kafka):
    """Redis and PostgreSQL are out of reach: that is told, and holds up nothing."""
    cluster = Cluster(own_kafka.bootstrap)
    ensure_topics(cluster, {"adt.dead": 1})
    producer = producing.producer(own_kafka.bootstrap)
    for letter in (unopened(OLD, NEW), unopened(NEW, NEW)):
        sent = letter_message("adt.dead", letter, 1000)
        producer.produce(sent.topic, sent.value, sent.key)
    assert producer.flush(PATIENCE_S) == 0
    env["HEADRACE_KAFKA__BOOTSTRAP"] = own_kafka.bootstrap
    done = headrace(env, "keys", "count", *SYSTEM)
    assert done.returncode == 1
    told = done.stdout.splitlines()
    assert f"1 of 1 tables in {codes} name a key from before k2" in told
    assert f"1 of 1 reasons in {audit} name a key from before k2" in told
    assert "1 of 2 messages of adt.dead name a key from before k2" in told
    assert [line.split(": ")[2] for line in done.stderr.splitlines()] == [
        "latest values in Redis",
        "entries of streams in Redis",
        "rows in PostgreSQL",
    ]
