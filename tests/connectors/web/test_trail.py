"""The file of the audit: what is acknowledged is there, whatever ends the process or the disk."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing

import pytest

from connectors.web.trail import Trail
from flows.__main__ import main
from operators.audit import AuditChain
from state.errors import Misuse, Unaudited
from tests.waiting import PATIENCE_S


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit" / "reads.jsonl"


def trail(path):
    return closing(Trail(path, AuditChain("reads")))


def put(made, *numbers):
    """Append an entry for each number; return once all are on the disk."""
    for done in [made.add(number, {"number": number}) for number in numbers]:
        done.result(PATIENCE_S)


def verify(path, *words):
    return main(["audit", "verify", str(path), *words])


def lines(path):
    return path.read_bytes().splitlines(keepends=True)


def test_entries_of_many_threads_and_runs_are_one_chain(path, capsys):
    for run in range(3):
        with trail(path) as made, ThreadPoolExecutor(8) as threads:
            wait([threads.submit(put, made, *range(run, run + 10)) for _ in range(8)])
    assert verify(path) == 0
    assert f"{path}: 240 entries" in capsys.readouterr().out
    assert path.stat().st_mode & 0o777 == 0o600


def test_one_process_has_the_file(path):
    with trail(path) as made, trail(path) as other:
        put(made, 1)
        with pytest.raises(Misuse, match=r"feed\.audit of its own"):
            other.open()
        with pytest.raises(Unaudited, match=r"feed\.audit of its own"):
            put(other, 2)
    assert len(lines(path)) == 1


@pytest.mark.parametrize("keep", [1, 20, -1])
def test_a_torn_entry_is_cut_off_and_the_chain_goes_on(path, keep):
    with trail(path) as made:
        put(made, 1, 2, 3)
    *whole, last = lines(path)
    path.write_bytes(b"".join(whole) + last[:keep])
    with trail(path) as made:
        put(made, 4)
    assert len(lines(path)) == 3
    assert verify(path) == 0


def test_a_file_that_does_not_end_with_an_entry_of_this_chain_is_left_alone(path):
    with trail(path) as made:
        put(made, 1)
    altered = path.read_bytes().replace(b'"number":1}', b'"number":2}')
    with closing(Trail(path, AuditChain("others"))) as other, pytest.raises(Misuse):
        other.open()
    for content in (altered, b"something else\n"):
        path.write_bytes(content)
        with trail(path) as made, pytest.raises(Misuse, match="audit verify"):
            made.open()
        assert path.read_bytes() == content


def test_a_file_that_was_moved_is_not_written_behind_everybodys_back(path):
    with trail(path) as made:
        put(made, 1)
        path.rename(path.with_suffix(".old"))
        for _ in range(2):
            with pytest.raises(Unaudited, match="moved or deleted"):
                put(made, 2)
        assert not path.exists()


def test_a_full_disk_refuses_and_what_follows_is_whole(path, capsys):
    """The limit on the size of files stands for the disk: a write ends in the middle."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with trail(path) as made:
            put(made, 1)
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 40, before[1]))
            for _ in range(2):
                with pytest.raises(Unaudited):
                    put(made, 2)
                assert made.head.number == 1
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            put(made, 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert verify(path) == 0
    assert "2 entries" in capsys.readouterr().out


def test_a_fault_of_ours_is_told_as_itself_and_breaks_no_chain(path, caplog):
    with trail(path) as made:
        put(made, 1)
        with pytest.raises(TypeError):
            made.add(2, {"number": object()}).result(PATIENCE_S)
        put(made, 3)
    assert verify(path) == 0
    assert len(lines(path)) == 2
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_what_was_acknowledged_before_a_kill_is_there(path):
    program = (
        "import sys\nfrom pathlib import Path\nfrom connectors.web.trail import Trail\n"
        "from operators.audit import AuditChain\n"
        "made = Trail(Path(sys.argv[1]), AuditChain('reads'))\n"
        "for number in range(10**6):\n"
        "    made.add(number, {}).result()\n    print(number + 1, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(20)]
        os.kill(child.pid, signal.SIGKILL)
        said += child.stdout.readlines()
    told = max(int(line) for line in said if line.endswith("\n"))
    with trail(path) as made:
        put(made, 1)
    assert verify(path) == 0
    assert len(lines(path)) > told


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        (lambda all_: [all_[0], *all_[2:]], 2, "missing"),
        (lambda all_: [all_[0], all_[2], all_[1], *all_[3:]], 2, "missing or moved"),
        (lambda all_: [*all_[:3], all_[3].replace(b'"x"', b'"y"'), *all_[4:]], 4, "altered"),
        (lambda all_: [*all_[:2], all_[2][:30], *all_[3:]], 3, "JSON"),
        (lambda all_: [*all_[:2], all_[2], *all_[2:]], 4, "repeated"),
    ],
    ids=["removed", "moved", "altered", "cut", "repeated"],
)
def test_what_was_done_to_the_middle_is_found_and_where(path, capsys, change, line, said):
    with trail(path) as made:
        for number in range(6):
            made.add(number, {"reader": "x"}).result(PATIENCE_S)
    path.write_bytes(b"".join(change(lines(path))))
    assert verify(path) == 1
    found = capsys.readouterr().out
    assert found.startswith(f"{path}:{line}: entry ")
    assert said in found


def test_a_file_cut_at_its_end_is_found_by_a_head_that_was_kept(path, capsys):
    with trail(path) as made:
        put(made, 1, 2, 3)
        head = made.head.hash
    assert verify(path, "--head", head) == 0
    path.write_bytes(b"".join(lines(path)[:2]))
    assert verify(path) == 0
    assert verify(path, "--head", head) == 1
    assert "cut off or rewritten" in capsys.readouterr().out
