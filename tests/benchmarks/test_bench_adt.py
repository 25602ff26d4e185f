"""``headrace bench adt``, short: every figure is there, and its patients come and leave."""

from __future__ import annotations

from collections import Counter
from importlib.util import find_spec

import orjson
import pytest

from benchmarks.adt import core
from benchmarks.adt.core import PYTHON_HL7
from benchmarks.adt.hospital import STAY, messages
from flows.__main__ import main
from tests.operators.adt.tables import tables


def test_every_figure_is_there(capsys):
    assert main(["bench", "adt", "--visits", "5", "--held", "10", "--repeats", "1", "--json"]) == 0
    told = orjson.loads(capsys.readouterr().out)
    installed = find_spec(PYTHON_HL7) is not None
    assert ("python-hl7 is not installed" in told["notes"]["a"]) is not installed
    counts = Counter(each["part"] for each in told["figures"])
    assert counts == {"a": 6 if installed else 4, "b": 2, "c": 5, "d": 5}
    assert all(each["value"] > 0 for each in told["figures"])


@pytest.mark.parametrize("other", [core.by_hl7apy, core.by_python_hl7])
def test_the_others_read_what_we_route_by(other):
    if other is core.by_python_hl7:
        pytest.importorskip(PYTHON_HL7)
    for raw in messages(2):
        _, _, patient, visit = core.route(raw)
        recorded, number, bed, of_visit = other(raw.decode())
        assert recorded.encode() in raw
        assert (number, of_visit) == (f"{patient}^^^GH^MR", f"{visit}^^^GH^VN")
        assert bed.encode() == raw.split(b"|I|")[1].split(b"|")[0]


def test_the_hospital_admits_and_discharges_each_patient():
    raws = list(messages(20))
    assert len(raws) == 20 * len(STAY)
    found = tables(raws)
    assert [row["status"] for row in found["encounters"]] == ["finished"] * 20
    assert {row["kind"] for row in found["anomalies"]} <= {"double_booked"}
