"""The runner with real processes, Kafka and Redis: deaths, drains, restarts."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from itertools import chain

import orjson
import psutil  # type: ignore[import-untyped]  # it ships no types
import pytest

from connectors.kafka.client import Cluster
from connectors.kafka.sink import COUNTER_HEADER, LINEAGE_HEADER
from flows.engine.generation import Generation
from flows.engine.ports import free_port
from flows.engine.recovery import last_snapshots
from flows.engine.supervisor import Restarts
from replay.topics import held_messages
from state.sealing import Keyring
from tests.flows.runs import ROOT, TALLY, Numbers, Run, headrace_process, held, settings
from tests.waiting import PATIENCE_S, eventually


@pytest.fixture
def tally(kafka, topic, redis_url, tmp_path):
    """(settings, numbers, start) of the test flow on a topic of its own."""
    name = topic(partitions=4, stem="numbers")
    env = settings(kafka.bootstrap, redis_url, tmp_path, TALLY_TOPIC=name)
    runs = []

    def start(*words: str, **more: str) -> Run:
        run = Run(env | more, (str(TALLY), *words), tmp_path / "log").__enter__()
        runs.append(run)
        return run

    yield env, Numbers(kafka.bootstrap, name, 4), start
    for run in runs:
        run.__exit__()


def test_a_signal_drains_without_replay(tally, redis_url, tmp_path):
    _, numbers, start = tally
    for number in (signal.SIGTERM, signal.SIGINT):
        run = start()
        run.ready()
        numbers.send(300)
        eventually(lambda: held(redis_url) == numbers.sums)
        numbers.send(50)
        assert run.end(number) == 0, run.log.read_text()
    # What the last snapshot says and what the outputs hold is the same: nothing is left to replay.
    shown = _snapshot_counts(tmp_path)
    assert shown == {p: len(sums) for p, sums in held(redis_url).items()}
    run = start()
    eventually(lambda: held(redis_url) == numbers.sums)


def _snapshot_counts(tmp_path):
    counts: dict[str, int] = {}
    for step, _, _, state in last_snapshots(tmp_path / "state/tally/1/recovery"):
        if step.startswith("tally.tally"):
            counts |= {str(p): count for p, (count, _) in state.items()}
    return counts


def test_beside_a_worker_that_is_stopped_the_other_says_what_it_waits_for(tally, redis_url):
    _, numbers, start = tally
    run = start("--workers", "2")
    run.ready(2)
    numbers.send(10)
    eventually(lambda: held(redis_url) == numbers.sums)
    stopped = run.workers()[1]
    stopped.suspend()
    try:
        numbers.send(10)
        eventually(lambda: run.probe("/ready")[0] == 503)
        waiting = run.probe("/ready")[1]["waiting"]
        assert "another worker has not answered" in waiting["snapshot"]
        assert run.probe("/live")[0] == 200
    finally:
        stopped.resume()
    eventually(lambda: held(redis_url) == numbers.sums)
    run.ready(2)
    assert run.end() == 0


def _written(kafka, tmp_path):
    """Return the counters that a plain consumer finds of this test in its flow's topic."""
    start = Generation(tmp_path / "state/tally", 1).load()
    assert start is not None
    found = chain.from_iterable(held_messages("tally.sums", Cluster(kafka.bootstrap)))
    headers = (dict(message.headers) for message in found)
    ours = start.lineage.encode()
    return sorted(each[COUNTER_HEADER] for each in headers if each.get(LINEAGE_HEADER) == ours)


def _once(numbers):
    """Return the counters of the numbers sent, each once."""
    return sorted(
        f"{origin}/{n}".encode()
        for origin, sums in numbers.sums.items()
        for n in range(1, len(sums) + 1)
    )


def test_a_killed_worker_takes_the_group_down_and_all_resume(tally, kafka, redis_url, tmp_path):
    _, numbers, start = tally
    run = start("--workers", "2")
    run.ready(2)
    numbers.send(100)
    eventually(lambda: held(redis_url) == numbers.sums)
    for victim in (0, 1):
        before = run.workers()
        before[victim].kill()
        numbers.send(100)
        eventually(lambda: held(redis_url) == numbers.sums)
        assert not {p.pid for p in before} & {p.pid for p in run.workers()}
    assert "worker 0 was killed by SIGKILL; all workers start again in 0.5 s" in run.log.read_text()
    assert "worker 1 was killed by SIGKILL; all workers start again in 1 s" in run.log.read_text()
    assert run.end() == 0
    assert _written(kafka, tmp_path) == _once(numbers)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("damaged", ["start.json", "recovery/part-0.sqlite3"])
def test_damaged_state_is_one_line_and_costs_no_restart(tally, tmp_path, workers, damaged):
    _, numbers, start = tally
    run = start("--workers", str(workers))
    run.ready(workers)
    numbers.send(10)
    assert run.end() == 0
    path = tmp_path / "state/tally/1" / damaged
    path.write_bytes(b"")
    for left in path.parent.glob("*-wal"):  # it may hold all that the file does
        left.unlink()
    again = start("--workers", str(workers))
    assert again.process.wait(PATIENCE_S) == 1
    told = again.log.read_text()
    assert f"{path} is damaged" in told
    assert "--generation N" in told
    assert "start again" not in told
    assert "Traceback" not in told


@pytest.mark.parametrize("workers", [1, 2])
def test_a_start_that_is_killed_while_it_prepares_is_made_again(tally, redis_url, workers):
    _, numbers, start = tally
    run = start("--workers", str(workers))
    supervisor = psutil.Process(run.process.pid)
    (victim,) = eventually(supervisor.children)
    assert ("--prepare" in victim.cmdline()) is (workers > 1)
    victim.kill()
    run.ready(workers)
    assert "killed by SIGKILL; all workers start again" in run.log.read_text()
    numbers.send(50)
    eventually(lambda: held(redis_url) == numbers.sums)


def test_a_lone_worker_killed_again_and_again_loses_and_repeats_nothing(
    tally, kafka, redis_url, tmp_path
):
    _, numbers, start = tally
    run = start()
    run.ready()
    for _ in range(3):
        numbers.send(500)
        run.workers()[0].kill()
        numbers.send(200)
        eventually(lambda: held(redis_url) == numbers.sums)
    assert run.end() == 0
    assert _written(kafka, tmp_path) == _once(numbers)


def test_a_worker_that_is_told_to_stop_stops_its_group(tally):
    _, _, start = tally
    run = start("--workers", "2")
    run.ready(2)
    run.workers()[1].terminate()
    assert run.process.wait(PATIENCE_S) == 0, run.log.read_text()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_exception_is_restarted_until_the_limit_and_told_without_its_message(tally, workers):
    _, numbers, start = tally
    numbers.raw(b"boom", partition=3)
    numbers.flush()
    run = start("--workers", workers, HEADRACE_RUN__RESTARTS="1")
    assert run.process.wait(PATIENCE_S) == 1
    log = run.log.read_text()
    assert "gave up after 1 restarts in ten minutes: ValueError at tally.py:" in log
    assert "4711" not in log
    assert "Traceback" not in log
    assert "panicked" not in log


def test_what_no_restart_heals_stops_at_once_with_the_fix(tally):
    _, numbers, start = tally
    numbers.raw(b"gone", partition=3)
    numbers.flush()
    run = start("--workers", "2")
    assert run.process.wait(PATIENCE_S) == 1
    log = run.log.read_text()
    assert "headrace: run: offset 1 of numbers." in log
    assert "Start a new generation with --from TIME --generation N" in log
    assert "start again" not in log


def test_the_workers_die_with_their_supervisor(tally):
    _, _, start = tally
    run = start("--workers", "2")
    run.ready(2)
    workers = run.workers()
    run.process.kill()
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE_S)
    assert not alive


def test_a_drain_that_takes_too_long_is_cut_short(tally):
    _, _, start = tally
    run = start(HEADRACE_RUN__DRAIN="1s")
    run.ready()
    run.workers()[0].suspend()
    begin = time.monotonic()
    assert run.end() == 1
    assert time.monotonic() - begin > 0.9
    assert "is replayed at the next start" in run.log.read_text()


def test_no_other_thread_is_there_when_the_signals_are_blocked():
    """A signal would go to it, and end the supervisor without a drain."""
    ready = (
        "import os, sys, flows.commands.run as run; run.config.load_settings(None);"
        "print(len(os.listdir('/proc/self/task')), 'numpy' in sys.modules)"
    )
    env = settings("", "", ROOT, HEADRACE_SEALING__KEYS=Keyring.generate().text())
    told = subprocess.run(
        [sys.executable, "-c", ready], env=env, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout == "1 False\n"


def test_a_second_interrupt_does_not_wait_for_the_drain(tally):
    _, _, start = tally
    run = start()
    run.ready()
    run.workers()[0].suspend()
    run.process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert run.end(signal.SIGINT) == 1


def test_readiness_names_the_sink_that_is_down(tally, kafka, topic, own_valkey, tmp_path):
    _, numbers, start = tally
    url = f"redis://127.0.0.1:{own_valkey.port}/0"
    run = start(HEADRACE_REDIS__URL=url)
    run.ready()
    numbers.send(10)
    eventually(lambda: held(url) == numbers.sums)
    own_valkey.stop()
    numbers.send(10)
    code, answer = eventually(lambda: (a := run.probe("/ready"))[0] == 503 and a)
    assert (code, list(answer["waiting"])) == (503, ["redis"])
    assert run.probe("/live")[0] == 200
    own_valkey.start()
    eventually(lambda: run.probe("/ready")[0] == 200)
    eventually(lambda: held(url) == numbers.sums)
    assert run.end() == 0


def test_stopping_while_a_sink_is_down_says_what_is_replayed(tally, own_valkey):
    _, numbers, start = tally
    url = f"redis://127.0.0.1:{own_valkey.port}/0"
    run = start(HEADRACE_REDIS__URL=url)
    run.ready()
    own_valkey.stop()
    numbers.send(10)
    eventually(lambda: run.probe("/ready")[0] == 503)
    assert run.end() == 1
    assert "stopped while waiting for redis; the last epoch is replayed" in run.log.read_text()


def test_one_copy_runs_with_probes_on_loopback_and_under_the_settings_of_its_start(tally):
    env, numbers, start = tally
    run = start()
    run.ready()
    numbers.send(10)
    eventually(lambda: b"headrace_messages_total{" in run.probe("/metrics")[1])
    assert run.probe("/nothing")[0] == 404
    (worker,) = run.workers()
    listening = [c for c in worker.net_connections() if c.status == psutil.CONN_LISTEN]
    assert [c.laddr.ip for c in listening] == ["127.0.0.1"]

    second = headrace_process(env, "run", str(TALLY))
    assert second.returncode == 2
    assert "is already running" in second.stderr
    assert second.stderr.count("\n") == 1

    assert run.end() == 0
    other = headrace_process(env | {"HEADRACE_MARKET__LATENESS": "3s"}, "run", str(TALLY))
    assert other.returncode == 1
    assert "setting tally.lateness is its default, this program's is 3000000000" in other.stderr
    assert "--from TIME --generation N" in other.stderr


def test_a_generation_that_is_run_twice_is_written_by_the_later_run_alone(
    tally, kafka, redis_url, tmp_path
):
    """By a copy of the state directory, so that no lock file tells of the other."""
    _, numbers, start = tally
    run = start()
    run.ready()
    numbers.send(50)
    eventually(lambda: held(redis_url) == numbers.sums)
    shutil.copytree(tmp_path / "state", tmp_path / "copy")
    port = str(free_port(in_a_row=4))
    copy = start(HEADRACE_RUN__STATE_DIR=str(tmp_path / "copy"), HEADRACE_RUN__HTTP_PORT=port)
    copy.ready()

    def ended() -> bool:
        # The former run finds out at its next write: it may have written all of this before the
        # copy, which polls before it writes, has taken the lease.
        numbers.send(5)
        return run.process.poll() is not None

    eventually(ended)
    assert run.process.returncode == 1
    eventually(lambda: held(redis_url) == numbers.sums)
    assert copy.end() == 0
    said = run.log.read_text()
    assert said.count("generation 1 of tally is run twice: process") == 1
    assert "gave up" not in said
    assert _written(kafka, tmp_path) == _once(numbers)


def test_a_new_generation_starts_where_it_is_told(tally, redis_url, tmp_path):
    env, numbers, start = tally
    numbers.send(20)
    run = start()
    eventually(lambda: held(redis_url) == numbers.sums)
    assert run.end() == 0
    again = headrace_process(env, "run", str(TALLY), "--from", "earliest")
    assert again.returncode == 2
    assert "--generation 2" in again.stderr
    run = start("--from", "earliest", "--generation", "2")
    eventually(lambda: held(redis_url, generation=2) == numbers.sums)
    assert run.end() == 0
    first, second = (
        orjson.loads((tmp_path / f"state/tally/{n}/start.json").read_bytes()) for n in (1, 2)
    )
    assert first["offsets"] == second["offsets"]
    # Without a number, the newest generation goes on.
    numbers.send(5)
    run = start()
    eventually(lambda: held(redis_url, generation=2) == numbers.sums)
    assert run.end() == 0


def test_restarts_come_later_each_time_and_end():
    restarts = Restarts(3)
    assert [restarts.next_delay(t) for t in (0.0, 1.0, 2.0, 3.0)] == [0.5, 1.0, 2.0, None]


def test_deaths_of_ten_minutes_ago_are_forgotten():
    restarts = Restarts(1)
    assert restarts.next_delay(0.0) == 0.5
    assert restarts.next_delay(601.0) == 0.5
    assert restarts.next_delay(700.0) is None


def test_the_wait_between_restarts_is_bounded():
    restarts = Restarts(100)
    assert max(restarts.next_delay(float(t)) or 0 for t in range(50)) == 30.0
