"""Ports are given once, to one process, and are free."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from flows.engine.ports import HOST, PORTS, free_port, is_free

ROOT = Path(__file__).resolve().parents[2]
TAKES = """
import sys
from flows.engine.ports import free_port
print(*(free_port(in_a_row=3) for _ in range(100)), flush=True)
sys.stdin.readline()
"""


def taking() -> subprocess.Popen[str]:
    """Start a process that takes a hundred times three ports, binds none, and stays."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", TAKES], cwd=ROOT, stdin=pipe, stdout=pipe, text=True
    )


def test_ports_are_never_lent_to_outgoing_connections() -> None:
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert PORTS.stop <= low
    assert all(free_port() in PORTS for _ in range(100))


def test_no_port_is_given_twice_though_none_is_bound() -> None:
    processes = [taking() for _ in range(4)]
    given = [free_port() for _ in range(300)]
    for process in processes:
        assert process.stdout is not None
        for first in map(int, process.stdout.readline().split()):
            given += range(first, first + 3)
    for process in processes:
        process.communicate("done")
    assert len(given) == 300 + 4 * 300
    assert len(set(given)) == len(given)


def test_ports_in_a_row_are_all_free() -> None:
    first = free_port(in_a_row=3)
    with socket.socket() as taken:
        taken.bind((HOST, first + 2))
        assert not is_free(first + 2)
        assert is_free(first + 1)
    assert is_free(first + 2)


def test_a_port_that_is_taken_is_passed_over() -> None:
    takes = (
        "import socket, flows.engine.ports as p\n"
        "left = p.free_port() + 1\n"
        "with socket.socket() as taken:\n"
        "    taken.bind((p.HOST, left + 1))\n"
        "    print(left, p.free_port(in_a_row=2))\n"
    )
    done = subprocess.run([sys.executable, "-c", takes], cwd=ROOT, stdout=-1, text=True, check=True)
    left, second = map(int, done.stdout.split())
    assert second == left + 2, "a process begins with the first of a block"


def test_a_process_that_takes_ports_for_ever_takes_a_part_of_them() -> None:
    takes = "import flows.engine.ports as p; print(len({p.free_port() for _ in range(5000)}))"
    done = subprocess.run([sys.executable, "-c", takes], cwd=ROOT, stdout=-1, text=True, check=True)
    assert int(done.stdout) < len(PORTS) // 5
