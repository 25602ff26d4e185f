from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.__main__ import main
from replay.cutting import cut
from replay.recording import Recording
from tests.replay.recordings import message, read, write

S = 1_000_000_000


def test_a_cut_holds_what_lies_between_its_bounds(tmp_path):
    path = write(tmp_path / "a", {"t": 3}, [message(n, p) for p in (0, 2) for n in range(10)])
    out = tmp_path / "out"
    assert cut(Recording([path]), 3 * S, 6 * S, out) == 6
    assert [(m.partition, m.offset) for m in read(out)] == [
        (p, n) for p in (0, 2) for n in (3, 4, 5)
    ]
    assert Recording([out]).partitions == {"t": 3}


@settings(max_examples=50)
@given(
    times=st.lists(st.integers(0, 20), min_size=1, max_size=30),
    bounds=st.lists(st.integers(0, 21), min_size=1, max_size=3),
)
def test_neighbouring_cuts_fit_together_even_where_timestamps_step_back(
    tmp_path_factory, times, bounds
):
    directory = tmp_path_factory.mktemp("c")
    messages = [message(n, timestamp_ns=t, headers=[("h", b"v")]) for n, t in enumerate(times)]
    whole = Recording([write(directory / "a", {"t": 1}, messages)])
    edges = [-1, *sorted(set(bounds)), 100]
    paths = []
    for start, end in pairwise(edges):
        paths.append(directory / f"{start}")
        cut(whole, start, end, paths[-1])
    assert list(Recording(paths).messages()) == list(whole.messages())


def test_the_command_cuts(tmp_path, capsys):
    path = write(tmp_path / "a", {"t": 1}, [message(n) for n in range(10)])
    span = ["--from", "1970-01-01T00:00:02", "--to", "1970-01-01T00:00:04.5Z"]
    assert main(["cut", str(path), *span, "--out", str(tmp_path / "b")]) == 0
    assert [m.offset for m in read(tmp_path / "b")] == [2, 3, 4]
    assert "3 messages" in capsys.readouterr().out


@pytest.mark.parametrize(
    "span", [["2020-01-02", "2020-01-01"], ["2020-01-01", "soon"], ["2020-01-01", "2020-01-01"]]
)
def test_a_span_that_cannot_be_is_misuse(tmp_path, span):
    path = write(tmp_path / "a", {"t": 1}, [message(0)])
    out = tmp_path / "b"
    command = ["cut", str(path), "--from", span[0], "--to", span[1], "--out", str(out)]
    try:
        code: object = main(command)
    except SystemExit as error:  # argparse
        code = error.code
    assert code == 2
    assert not out.exists()
