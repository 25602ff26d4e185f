"""What can happen to a run: processes are killed, servers go away."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import psutil  # type: ignore[import-untyped]  # it ships no types

from benchmarks.held import skipped
from benchmarks.trial import Trial
from connectors.redis.reader import RedisReader
from flows.engine.systems import output_topic
from flows.servers import KafkaBroker, Postgres, Valkey
from state.errors import Broken

Act = Callable[[Trial], None]

AT_WORK_MESSAGES = 300
"""How many messages come before a worker is killed."""
OUTAGE_MESSAGES = 3_000
"""How many messages come while a server is down."""


def kill_worker(index: int) -> Act:
    """Kill -9 one worker process of the system; its supervisor starts the group again."""

    def act(trial: Trial) -> None:
        workers = _workers(trial, "a worker to kill")
        before = {worker.pid for worker in workers}
        workers[index % len(workers)].kill()
        trial.disturbed()

        def begun_anew() -> bool:
            now = {worker.pid for worker in trial.main.workers()}
            return bool(now) and not now & before

        # A drain that meets a death ends with an error, and rightly so: wait for the new group.
        trial.until("the group starts again", begun_anew)

    return act


def pause_worker(index: int, seconds: float) -> Act:
    """Stop a worker process of the system for a while, beside which the others wait."""

    def act(trial: Trial) -> None:
        workers = _workers(trial, "a worker to pause")
        paused = workers[index % len(workers)]
        paused.suspend()
        trial.feed.gate.allow_more(OUTAGE_MESSAGES)
        try:
            time.sleep(seconds)
        finally:
            paused.resume()

    return act


def _workers(trial: Trial, what: str) -> list[psutil.Process]:
    """Return the worker processes of the system once there are any."""
    workers: list[psutil.Process] = []

    def found() -> bool:
        workers[:] = trial.main.workers()
        return bool(workers)

    trial.until(what, found)
    return workers


def kill_at_work(tries: int = 8) -> Act:
    """Kill workers of market until one dies that has written records behind no snapshot."""

    def act(trial: Trial) -> None:
        topic = output_topic("market", "bars")
        for index in range(tries):
            trial.caught_up()
            if skipped(trial.main.log):
                return
            before = trial.rig.produced(topic)
            trial.feed.gate.allow_more(AT_WORK_MESSAGES)
            trial.until("market writes", partial(_exceeds, trial, topic, before))
            kill_worker(index)(trial)
        raise Broken(f"none of {tries} kills hit market at work")

    return act


def _exceeds(trial: Trial, topic: str, messages: int) -> bool:
    return trial.rig.produced(topic) > messages


def kill_flow(name: str, down_s: float = 0.0) -> Act:
    """Kill -9 a flow's supervisor and workers at once; start it again after a while."""

    def act(trial: Trial) -> None:
        trial.flows[name].kill()
        trial.disturbed()
        time.sleep(down_s)
        trial.restart(name)

    return act


def kill_supervisor() -> Act:
    """Kill -9 the supervisor of the system alone, whose workers have to end by themselves."""

    def act(trial: Trial) -> None:
        trial.main.kill_supervisor()
        trial.restart(trial.subject.system)

    return act


def drain() -> Act:
    """Stop market by SIGTERM and start it again."""

    def act(trial: Trial) -> None:
        trial.drain("market")
        trial.restart("market")

    return act


def kill_broker(down_s: float) -> Act:
    """Kill -9 the Kafka broker; start it again after a while."""
    return _outage(lambda trial: trial.rig.kafka, _wait(down_s), crash=True)


def stop_redis(down_s: float) -> Act:
    """Stop Redis; start it again after a while."""
    return _outage(lambda trial: trial.rig.valkey, _wait(down_s))


def stop_postgres(down_s: float) -> Act:
    """Stop PostgreSQL, without which market has to work on; start it again."""

    def act(trial: Trial) -> None:
        # Counted before PostgreSQL stops, which takes a while: a flow that is fast may have written
        # its last record when it is down. That it worked to the end meanwhile is asked below.
        before = _records(trial)

        def market_goes_on(trial: Trial) -> None:
            time.sleep(down_s)
            trial.until("market, without PostgreSQL", trial.system_caught_up)
            if _records(trial) == before:
                raise Broken("no record came to Redis from when PostgreSQL was stopped")

        _outage(lambda trial: trial.rig.postgres, market_goes_on)(trial)

    return act


def _outage(
    server_of: Callable[[Trial], KafkaBroker | Valkey | Postgres],
    meanwhile: Act,
    *,
    crash: bool = False,
) -> Act:
    """Return an act that no worker may die of: a flow waits, it does not restart."""

    def act(trial: Trial) -> None:
        server = server_of(trial)
        # Who still starts ends without a server, and is started again.
        trial.until("all flows are ready", lambda: all(f.ready() for f in trial.flows.values()))
        before = _pids(trial)
        if crash:
            server.kill()
        else:
            server.stop()
        trial.feed.gate.allow_more(OUTAGE_MESSAGES)
        meanwhile(trial)
        server.start()
        trial.caught_up()
        if _pids(trial) != before:
            raise Broken("a worker died of an outage that it had to wait out")

    return act


def _wait(seconds: float) -> Act:
    return lambda trial: time.sleep(seconds)


def _pids(trial: Trial) -> list[int]:
    return [worker.pid for flow in trial.flows.values() for worker in flow.workers()]


def _records(trial: Trial) -> int:
    """Return how many records of market Redis has got."""
    reader = RedisReader(trial.rig.settings.redis.url, "market")
    marks = reader.marks()
    reader.close()
    return sum(marks.values())
