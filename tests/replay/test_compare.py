import pytest

from flows.__main__ import main
from replay.compare import Difference, compare
from state.errors import Misuse


@pytest.fixture
def pair(tmp_path):
    for side in "lr":
        (tmp_path / side / "tables").mkdir(parents=True)
        (tmp_path / side / "bars.jsonl").write_text("1\n2\n3\n")
        (tmp_path / side / "tables" / "bars.jsonl").write_text("")
    return tmp_path / "l", tmp_path / "r"


def test_equal_directories_are_the_same(pair, capsys):
    assert compare(*pair) == {"bars.jsonl": None, "tables/bars.jsonl": None}
    assert main(["diff", *map(str, pair)]) == 0
    assert capsys.readouterr().out == "bars.jsonl: same\ntables/bars.jsonl: same\n"


def test_the_first_difference_is_told(pair, capsys):
    (pair[1] / "bars.jsonl").write_text("1\nx\ny\n")
    assert compare(*pair)["bars.jsonl"] == Difference("bars.jsonl", 2, "2", "x")
    assert main(["diff", *map(str, pair)]) == 1
    assert "bars.jsonl: line 2 differs" in capsys.readouterr().out


def test_a_shorter_file_differs(pair):
    (pair[1] / "bars.jsonl").write_text("1\n2\n")
    assert compare(*pair)["bars.jsonl"] == Difference("bars.jsonl", 3, "3", None)


def test_a_missing_newline_differs(pair):
    (pair[1] / "bars.jsonl").write_text("1\n2\n3")
    assert compare(*pair)["bars.jsonl"] is not None


def test_a_file_on_one_side_only_differs(pair, capsys):
    (pair[0] / "late.jsonl").write_text("")
    assert main(["diff", *map(str, pair)]) == 1
    assert f"late.jsonl: only in {pair[0]}" in capsys.readouterr().out


def test_a_directory_without_outputs_is_misuse(tmp_path, capsys):
    with pytest.raises(Misuse, match=r"no \.jsonl"):
        compare(tmp_path, tmp_path)
    assert main(["diff", str(tmp_path), str(tmp_path / "missing")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
