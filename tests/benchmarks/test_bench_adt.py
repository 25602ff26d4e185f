"""``headrace bench adt``, short: every figure is there, and its patients come and leave."""

from __future__ import annotations

import orjson

from benchmarks.adt.hospital import STAY, messages
from flows.__main__ import main
from tests.operators.adt.tables import tables


def test_every_figure_is_there(capsys):
    assert main(["bench", "adt", "--visits", "5", "--held", "10", "--repeats", "1", "--json"]) == 0
    figures = orjson.loads(capsys.readouterr().out)["figures"]
    assert [each["part"] for each in figures] == ["a", "a", "a", "a", "b", "c", "c"]
    assert all(each["value"] > 0 for each in figures)


def test_the_hospital_admits_and_discharges_each_patient():
    raws = list(messages(20))
    assert len(raws) == 20 * len(STAY)
    found = tables(raws)
    assert [row["status"] for row in found["encounters"]] == ["finished"] * 20
    assert {row["kind"] for row in found["anomalies"]} <= {"double_booked"}
