"""The documents as data: their blocks, links, and what they name.

A block of code says in its first line what becomes of it:

- ``python``, ``sh``: run, page by page in order, in a directory of the page's own; with
  ``servers`` behind it, with settings that reach real ones.
- any language with ``title=FILE``: written to that file; a ``test_*.py`` is then run by pytest.
- ``json``, ``toml``: has to parse. ``hex``: has to be hexadecimal.
- ``console``: not run, since it needs servers, make, or no end; its commands have to parse.
- ``text``: not run, since it is a drawing or what a program printed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.flows.runs import ROOT

PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")],
    key=lambda path: (path.parent != ROOT, path),
)

_FENCE = re.compile(r"^ *```(.*)$")
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A block of code and the words behind its language."""

    line: int
    language: str
    words: tuple[str, ...]
    text: str

    @property
    def title(self) -> str:
        """The file that the block is written to; '' where it is none."""
        found = (word.removeprefix("title=") for word in self.words if word.startswith("title="))
        return next(found, "")


def name(path: Path) -> str:
    """Return the name of a page, for a test's id."""
    return str(path.relative_to(ROOT))


def blocks(path: Path) -> list[Block]:
    """Return the blocks of code of a page."""
    found, opened = [], None
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        match = _FENCE.match(line)
        if match is None:
            continue
        if opened is None:
            opened = (number, match[1].split())
        else:
            first, words = opened
            text = "\n".join(lines[first : number - 1]) + "\n"
            found.append(Block(first, words[0] if words else "", tuple(words[1:]), text))
            opened = None
    assert opened is None, f"{path} has a block without an end"
    return found


def prose(path: Path) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"(?ms)^ *```.*?^ *```$", "", path.read_text(encoding="utf-8"))


def inline_code(path: Path) -> list[str]:
    """Return what stands between back quotes in the prose of a page."""
    return _CODE.findall(prose(path))


def links(path: Path) -> list[str]:
    """Return the targets of the links of a page."""
    return _LINK.findall(prose(path))


def anchors(path: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.*)$", prose(path))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
