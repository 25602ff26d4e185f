"""``headrace bench bulk``, short: every figure is there, and everything is exported."""

from __future__ import annotations

import orjson

from benchmarks.adt.bulk import RESULTS, _blocks
from flows.__main__ import main
from tests.operators.adt.tables import tables


def test_every_figure_is_there(capsys):
    assert main(["bench", "bulk", "--visits", "5", "--repeats", "1", "--json"]) == 0
    figures = orjson.loads(capsys.readouterr().out)["figures"]
    assert [each["part"] for each in figures] == ["a", "a", "a"]
    assert all(each["value"] > 0 for each in figures)


def test_each_visit_has_its_results():
    found = tables([raw for block in _blocks(20) for raw in block])
    assert len(found["encounters"]) == 20
    visits = {row["visit"] for row in found["encounters"]}
    assert {row["visit"] for row in found["observations"]} == visits
    assert len(found["observations"]) == 20 * RESULTS
