"""The lines of the documents are at most 100 characters long."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.docs.pages import PAGES, name

LONGEST = 100


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_lines_are_short(page):
    assert not list(too_long(page.read_text(encoding="utf-8")))


def test_a_long_line_is_seen():
    cell, url = "| a cell of a table |" * 6, "https://example.invalid/" + "a" * 100
    assert list(too_long(f"short\n{cell}\n")) == [f"2: {cell}"]
    assert list(too_long("é" * 100)) == []
    assert list(too_long(f"```console\n$ {url}\n{cell}\n```\n{url}")) == [f"3: {cell}", f"5: {url}"]


def too_long(text: str) -> Iterator[str]:
    """Yield the lines that are too long; in a block of code one word may be longer."""
    inside = False
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("```"):
            inside = not inside
        whole = inside and len(line.removeprefix("$ ").split()) == 1
        if len(line) > LONGEST and not whole:
            yield f"{number}: {line}"
