"""One worker process: ``python -P -m flows.engine.worker …``, started by its supervisor.

It runs one Bytewax worker in its main thread (alone) or as one process of a cluster.
Beside it run threads that wait for signals, watch the supervisor, and answer probes.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path

import bytewax.errors
from bytewax._bytewax import cluster_main, run_main
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig

from flows import config
from flows.engine import health, logs
from flows.engine.cluster import cluster_of
from flows.engine.context import Flow
from flows.engine.flows import find_flow
from flows.engine.generation import Generation
from flows.engine.live import connect
from flows.engine.opening import check_keys
from flows.engine.preparing import check_start, prepare
from flows.engine.recovery import check_store
from flows.engine.reports import Failure, Report, describe
from flows.engine.systems import flow_name
from flows.settings.settings import Settings
from state.clock import NS
from state.errors import Misuse
from state.lifecycle import Lifecycle
from state.metrics import WORKER

log = logging.getLogger("worker")

DONE, FAILED = 0, 1
DRAIN_SHARE = 0.8
"""How much of ``run.drain`` a sink waits, so that it can say why before it is killed."""
SIGNALS = (signal.SIGTERM, signal.SIGINT)

_rust_errors: list[BaseException] = []


def main() -> int:
    """Run one worker to its end; return the exit code."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # before any thread: all inherit the mask
    args = _parse_arguments()
    lifecycle = Lifecycle()
    _start_thread("parent", _watch_parent)
    _start_thread("signals", _watch_signals, lifecycle)
    _keep_rust_errors()
    building = True
    try:
        settings = config.load_settings(args.config)
        lifecycle.group = bool(args.addresses)
        lifecycle.drain_s = settings.run.drain / NS * DRAIN_SHARE
        _set_up_logs(args, settings)
        flow = find_flow(args.flow)
        WORKER.labels(flow.name, str(args.index)).set(1)
        if args.prepare:
            prepare(flow, Generation(args.root, args.generation), args.start, settings)
            return DONE
        port = settings.run.http_port and settings.run.http_port + args.index
        with health.serving(port, lifecycle):
            dataflow = _build(flow, args, settings, lifecycle)
            building = False
            _execute(dataflow, args, settings)
    except BaseException as error:  # whatever it is, the supervisor has to hear of it
        cause = _cause(error)
        log.debug("the worker failed", exc_info=cause)
        Report(describe(cause, building=building)).send()
        return FAILED
    log.info("drained" if lifecycle.stopping.is_set() else "reached the end of its input")
    return DONE


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="flows.engine.worker")
    parser.add_argument("flow")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--generation", type=int, required=True)
    parser.add_argument("--index", type=int, default=0)
    parser.add_argument("--addresses", default="")
    parser.add_argument("--writer", default="")
    parser.add_argument("--log-fd", type=int, required=True)
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--start", default="")
    parser.add_argument("--debug", action="store_true")
    return parser.parse_args()


def _start_thread(name: str, run: object, *args: object) -> None:
    threading.Thread(target=run, args=args, name=name, daemon=True).start()  # type: ignore[arg-type]  # any callable


def _watch_parent() -> None:
    """End with the supervisor: it holds the other end of our stdin, and never writes."""
    while os.read(0, 1):
        pass
    os._exit(FAILED)


def _watch_signals(lifecycle: Lifecycle) -> None:
    while True:
        signal.sigwait(SIGNALS)
        lifecycle.stopping.set()
        # Whoever sent it: a group stops together, or this worker's peers would go on alone.
        Report().send()


def _keep_rust_errors() -> None:
    """Note each exception that Bytewax wraps: in a cluster, its panic loses them.

    What it was doing is told at once, in case a second panic while it closes aborts the
    process; the cause replaces it if all goes well.
    """

    def note(self: BaseException, *args: object) -> None:
        RuntimeError.__init__(self, *args)
        _rust_errors.append(self)
        Report(Failure(" ".join(str(self).split()), rank=1)).send()

    bytewax.errors.BytewaxRuntimeError.__init__ = note  # type: ignore[method-assign]  # on purpose


def _cause(error: BaseException) -> BaseException:
    """Return the first exception of ours or the user's behind what Bytewax raised."""
    cause: BaseException | None = _rust_errors[0] if _rust_errors else error
    while isinstance(cause, bytewax.errors.BytewaxRuntimeError) and cause.__cause__ is not None:
        cause = cause.__cause__
    return cause if cause is not None else error


def _set_up_logs(args: argparse.Namespace, settings: Settings) -> None:
    stream = os.fdopen(args.log_fd, "w", buffering=1)
    who = f"{flow_name(args.flow)}[{args.index}] "
    logs.set_up(stream, config.secrets(settings), debug=args.debug, who=who)


def _build(
    flow: Flow, args: argparse.Namespace, settings: Settings, lifecycle: Lifecycle
) -> Dataflow:
    """Return the dataflow, its kernels compiled."""
    generation = Generation(args.root, args.generation)
    if not args.addresses:
        prepare(flow, generation, args.start, settings)
    start = generation.load()
    if start is None:
        raise Misuse(f"{args.root}/{args.generation}/start.json is missing: headrace run writes it")
    check_start(start, flow, settings)
    check_store(generation.recovery)
    check_keys(flow, start, cluster_of(settings.kafka), settings)
    workers = max(1, len(_addresses(args)))
    context = connect(flow, start, settings, lifecycle, args.index, workers, args.writer)
    flow.warm_up()
    return flow.build(context)


def _addresses(args: argparse.Namespace) -> list[str]:
    return args.addresses.split(",") if args.addresses else []


def _execute(flow: Dataflow, args: argparse.Namespace, settings: Settings) -> None:
    """Run the flow until its sources end."""
    # What is loaded now lives as long as the process: the collector need not look at it.
    gc.collect()
    gc.freeze()
    store = Generation(args.root, args.generation).recovery
    recovery = RecoveryConfig(store)  # type: ignore[no-untyped-call]  # Bytewax has no types here
    epoch = timedelta(microseconds=settings.run.epoch // 1000)
    options = {"epoch_interval": epoch, "recovery_config": recovery}
    if addresses := _addresses(args):
        cluster_main(flow, addresses, args.index, **options)  # type: ignore[no-untyped-call]  # nor here
    else:
        run_main(flow, **options)  # type: ignore[no-untyped-call]  # nor here


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Threads of Bytewax may wait for peers that are gone; all that matters is done.
    os._exit(code)
