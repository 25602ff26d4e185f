"""The local servers: they answer, come back with their data, and end with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest
import redis
from confluent_kafka import Consumer, Producer

from flows.servers import KafkaBroker, Postgres, Valkey, start_all
from flows.servers import kafka as kafka_module
from state.errors import ServerFailed
from tests.conftest import create_topic
from tests.waiting import PATIENCE_S, eventually

ROOT = Path(__file__).resolve().parents[2]
CHILD = """
import sys, time
from pathlib import Path
from flows.servers import Postgres, Valkey, KafkaBroker, start_all
home = Path(sys.argv[1])
servers = Valkey(home), Postgres(home), KafkaBroker(home)
start_all(*servers)
print(*(server.pid for server in servers), flush=True)
time.sleep(60)
"""
WITHOUT_NAMESPACES = """
import ctypes, sys
from pathlib import Path
from flows.servers import Postgres, launch
if ctypes.CDLL(None).unshare(launch.CLONE_NEWUSER) != 0:
    sys.exit("refused")
print("entered", flush=True)
sys.stdin.readline()
Path("/proc/sys/user/max_user_namespaces").write_text("0")
with Postgres(Path(sys.argv[1])) as server:
    print((server.home / "data").owner())
"""


def produce(broker: KafkaBroker, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap, "message.max.bytes": 20_000_000})
    failures: list[object] = []
    producer.produce(topic, value, on_delivery=lambda error, _: failures.append(error))
    assert producer.flush(PATIENCE_S) == 0
    assert failures == [None]


def consume(broker: KafkaBroker, topic: str, count: int) -> list[bytes]:
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap,
            "group.id": "test",
            "auto.offset.reset": "earliest",
            "fetch.message.max.bytes": 20_000_000,
        }
    )
    consumer.subscribe([topic])
    try:
        return [message.value() or b"" for message in consumer.consume(count, 30)]
    finally:
        consumer.close()


def runs(pid: int) -> bool:
    """Say whether the process is there and not merely waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_kafka_comes_back_after_a_stop_and_a_crash(own_kafka: KafkaBroker) -> None:
    bootstrap = own_kafka.bootstrap
    create_topic(own_kafka, "kept", 1)
    for number, end in enumerate((own_kafka.stop, own_kafka.kill)):
        produce(own_kafka, "kept", b"%d" % number)
        end()
        own_kafka.start()
    assert own_kafka.bootstrap == bootstrap
    assert consume(own_kafka, "kept", 2) == [b"0", b"1"]


def test_kafka_takes_a_message_of_ten_megabytes(kafka: KafkaBroker, topic) -> None:
    name = topic()
    produce(kafka, name, b"x" * 10_000_000)
    assert [len(value) for value in consume(kafka, name, 1)] == [10_000_000]


def test_kafka_does_not_make_topics_by_itself(kafka: KafkaBroker) -> None:
    if not kafka.kind.startswith("Apache"):
        pytest.skip("the stand-in makes topics by itself")
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    producer.list_topics("never.made", timeout=PATIENCE_S)
    assert "never.made" not in producer.list_topics(timeout=PATIENCE_S).topics


def test_without_java_a_stand_in_says_what_it_is(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(kafka_module, "MIN_JAVA", 99)
    monkeypatch.delenv("HEADRACE_REQUIRE_KAFKA", raising=False)
    with KafkaBroker(tmp_path) as broker:
        assert broker.kind == "librdkafka mock"
        produce(broker, "t", b"x")
        assert consume(broker, "t", 1) == [b"x"]
    with pytest.raises(ServerFailed, match="keeps nothing"):
        broker.start()


def test_where_kafka_is_required_a_stand_in_is_an_error(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(kafka_module, "MIN_JAVA", 99)
    monkeypatch.setenv("HEADRACE_REQUIRE_KAFKA", "1")
    with pytest.raises(ServerFailed, match="no Java 99 or later"):
        KafkaBroker(tmp_path)


def test_valkey_comes_back_after_a_stop_and_a_crash(own_valkey: Valkey) -> None:
    url = own_valkey.url
    for number, end in enumerate((own_valkey.stop, own_valkey.kill)):
        redis.Redis.from_url(url).set(f"key{number}", number)
        end()
        own_valkey.start()
    assert own_valkey.url == url
    assert redis.Redis.from_url(url).mget("key0", "key1") == [b"0", b"1"]


def test_postgres_comes_back_after_a_stop_and_a_crash(own_postgres: Postgres) -> None:
    dsn = own_postgres.dsn
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE kept (number int)")
    for number, end in enumerate((own_postgres.stop, own_postgres.kill)):
        with psycopg.connect(dsn) as connection:
            connection.execute("INSERT INTO kept VALUES (%s)", [number])
        end()
        own_postgres.start()
    assert own_postgres.dsn == dsn
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT number FROM kept ORDER BY 1").fetchall() == [(0,), (1,)]


def test_postgres_wants_its_password(postgres: Postgres) -> None:
    password = postgres.dsn.split(":")[2].partition("@")[0]
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(postgres.dsn.replace(password, "other"))
    assert password not in postgres.log.read_text()


def test_each_test_has_a_database_of_its_own(database: str, redis_url: str) -> None:
    with psycopg.connect(database) as connection:
        tables = connection.execute("SELECT FROM pg_tables WHERE schemaname = 'public'")
        assert tables.rowcount == 0
    assert redis.Redis.from_url(redis_url).dbsize() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become another user")
def test_postgres_starts_for_root_where_namespaces_are_forbidden() -> None:
    """In a namespace that keeps root and all other users but may hold no further one."""
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o755)  # pytest's own directories are closed to nobody
        command = [sys.executable, "-c", WITHOUT_NAMESPACES, home]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, cwd=ROOT, text=True, stdin=pipe, stdout=pipe, stderr=pipe
        ) as inside:
            assert inside.stdout
            if inside.stdout.readline() != "entered\n":
                pytest.skip("namespaces are forbidden here: the other tests show the same")
            for kind in ("uid_map", "gid_map"):
                Path(f"/proc/{inside.pid}/{kind}").write_text("0 0 65536")
            assert inside.communicate("\n", timeout=PATIENCE_S) == ("nobody\n", "")


def test_servers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 3
        assert all(runs(pid) for pid in pids)
        parent.kill()
    eventually(lambda: not any(runs(pid) for pid in pids))


def test_servers_do_not_get_the_terminal_s_interrupt(own_valkey: Valkey) -> None:
    assert os.getsid(own_valkey.pid) != os.getsid(0)
    assert os.getpgid(own_valkey.pid) != os.getpgid(0)


def test_a_server_that_cannot_start_says_why(tmp_path: Path, valkey: Valkey) -> None:
    other = Valkey(tmp_path)
    other.port = valkey.port
    second = Postgres(tmp_path)
    second.port = valkey.port
    with pytest.raises(ServerFailed, match=r"postgres: ended while starting: .* \(see "):
        start_all(second)
    with pytest.raises(ServerFailed, match="is not running"):
        _ = second.pid


def test_a_stop_ends_the_process_with_the_servers_own_signal(tmp_path: Path) -> None:
    server = Postgres(tmp_path).start()
    pid = server.pid
    server.stop()
    assert not runs(pid)
    assert "database system is shut down" in server.log.read_text()
    assert server.stop_signal is signal.SIGINT
    server.stop()  # twice is the same as once
