from __future__ import annotations

import io
import logging
import re

import pytest

from flows.engine import logs


@pytest.fixture
def root():
    root = logging.getLogger()
    before = (root.level, root.handlers[:])
    yield root
    root.setLevel(before[0])
    root.handlers[:] = before[1]


def _fail(log: logging.Logger) -> None:
    try:
        int("swordfish")
    except ValueError:
        log.exception("it\nfailed with %s", "swordfish")


def test_a_record_is_one_line_in_utc_without_secrets(root):
    stream = io.StringIO()
    logs.set_up(stream, ["sword", "swordfish"], who="market[0] ")
    _fail(logging.getLogger("worker"))
    logging.getLogger("worker").debug("not shown")
    line = stream.getvalue()
    pattern = (
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ERROR market\[0\] worker: it failed with \*{8}\n"
    )
    assert re.fullmatch(pattern, line), line


def test_tracebacks_are_for_the_debug_level(root):
    stream = io.StringIO()
    logs.set_up(stream, ["swordfish"], debug=True)
    _fail(logging.getLogger("worker"))
    assert "Traceback" in stream.getvalue()
    assert "swordfish" not in stream.getvalue()
