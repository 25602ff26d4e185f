from __future__ import annotations

import os

import pytest

from flows.engine.reports import Failure, Report, describe, parse
from state.errors import LostWrites, Misuse, OffsetGone, SettingsError, Stopped, Undelivered


def _raised(error: BaseException) -> BaseException:
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


def test_a_report_crosses_the_pipe(capfd):
    for report in (Report(), Report(Failure("why", final=True, rank=3))):
        report.send()
        os.write(2, b"something else\n")
        first, second = capfd.readouterr().err.encode().splitlines()
        assert parse(first) == report
        assert parse(second) is None


def test_a_message_that_is_not_ours_is_not_told_once_records_flow():
    failure = describe(_raised(ValueError("patient 4711")), building=False)
    assert failure.reason.startswith("ValueError at test_reports.py:")
    assert "4711" not in failure.reason
    assert not failure.final


def test_a_flow_that_cannot_be_built_says_why_and_is_not_tried_again():
    failure = describe(_raised(ImportError("no module named x\nat all")), building=True)
    assert failure.reason.endswith("ImportError at test_reports.py:13: no module named x at all")
    assert failure.final


@pytest.mark.parametrize(
    ("error", "building", "final"),
    [
        (OffsetGone("t", 0, 1, 2, 3), False, True),
        (LostWrites("redis", "bars", "0", 1, 2), False, True),
        (SettingsError("x"), False, True),
        (Misuse("no broker"), True, True),
        (Misuse("no broker"), False, False),
        (Undelivered("t", "x"), False, False),
        (Stopped("redis"), False, False),
    ],
)
def test_only_what_no_restart_heals_is_final(error, building, final):
    failure = describe(error, building=building)
    assert failure.final is final
    assert failure.reason == str(error)
