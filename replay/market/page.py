"""The page of a report as HTML: frame, tables, pictures; nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

_STYLE = """
:root { color-scheme: light dark; --ground: #ffffff; --text: #1f2328; --faint: #5a6370;
  --line: #dfe3e8; --band: #f6f7f9; --green: #116644; --green-ground: #daf3e5;
  --yellow: #7a5200; --yellow-ground: #fdefc8; --red: #a3231a; --red-ground: #fbe0dd; }
@media (prefers-color-scheme: dark) { :root { --ground: #171b21; --text: #e6e8eb;
  --faint: #9aa4b0; --line: #2f3640; --band: #1e232b; --green: #7fe0b3;
  --green-ground: #123c2b; --yellow: #f3cf7a; --yellow-ground: #443410; --red: #ffb0a6;
  --red-ground: #54201b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 4px; }
h2 { font-size: 20px; margin: 44px 0 10px; padding-bottom: 6px;
  border-bottom: 1px solid var(--line); }
h3 { font-size: 16px; margin: 28px 0 4px; }
p { margin: 4px 0 12px; max-width: 80ch; }
.faint, figcaption, footer { color: var(--faint); }
nav a { color: inherit; margin-right: 16px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
  font-size: 14px; }
th, td { padding: 4px 10px 4px 0; text-align: right; white-space: nowrap; }
th { font-weight: 600; color: var(--faint); vertical-align: bottom; }
thead tr:last-child th { border-bottom: 1px solid var(--line); }
tbody tr:nth-child(even) { background: var(--band); }
.text { text-align: left; }
td:first-child, th:first-child { padding-left: 8px; }
.group { border-left: 1px solid var(--line); padding-left: 12px; }
thead tr:not(:last-child) .group { text-align: center; }
.chip { display: inline-block; min-width: 64px; padding: 0 8px; border-radius: 9px;
  text-align: center; font-size: 13px; }
.green { color: var(--green); background: var(--green-ground); }
.yellow { color: var(--yellow); background: var(--yellow-ground); }
.red { color: var(--red); background: var(--red-ground); }
figure { margin: 16px 0 28px; }
figure img { width: 100%; height: auto; display: block; }
figcaption { font-size: 13.5px; margin-top: 6px; max-width: 110ch; }
footer { margin-top: 48px; font-size: 13.5px; }
@media print { main { max-width: none; padding: 0; } figure, tr { break-inside: avoid; } }
"""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text, which is escaped here, and how it is shown."""

    text: str
    style: str = ""
    """The class of the cell."""
    chip: str = ""
    """The colour of the chip that the text is on."""
    strong: bool = False
    span: int = 1


def page(title: str, lead: str, sections: Iterable[str]) -> str:
    """Return the whole document."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f'<header><h1>{escape(title)}</h1>\n<p class="faint">{escape(lead)}</p></header>\n'
        + "\n".join(sections)
        + "\n</main>\n</body>\n</html>\n"
    )


def heading(level: int, text: str, anchor: str = "") -> str:
    """Return a heading, to which links may lead."""
    mark = f' id="{escape(anchor)}"' if anchor else ""
    return f"<h{level}{mark}>{escape(text)}</h{level}>"


def paragraph(text: str, style: str = "") -> str:
    """Return a paragraph."""
    return f'<p class="{style}">{escape(text)}</p>' if style else f"<p>{escape(text)}</p>"


def links(targets: Iterable[tuple[str, str]]) -> str:
    """Return links to (anchor, text) on this page."""
    found = (f'<a href="#{escape(anchor)}">{escape(text)}</a>' for anchor, text in targets)
    return f"<nav>{''.join(found)}</nav>"


def bullets(lines: Iterable[str]) -> str:
    """Return a list."""
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def table(head: Sequence[Sequence[Cell]], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a table, which scrolls sideways where it is too wide."""
    top = "".join(f"<tr>{''.join(_cell(cell, 'th') for cell in row)}</tr>" for row in head)
    body = "\n".join(f"<tr>{''.join(_cell(cell, 'td') for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="wide"><table>\n<thead>{top}</thead>\n<tbody>\n{body}\n</tbody></table></div>'
    )


def _cell(cell: Cell, tag: str) -> str:
    text = escape(cell.text)
    if cell.chip:
        text = f'<span class="chip {escape(cell.chip)}">{text}</span>'
    if cell.strong:
        text = f"<strong>{text}</strong>"
    style = f' class="{cell.style}"' if cell.style else ""
    span = f' colspan="{cell.span}"' if cell.span > 1 else ""
    return f"<{tag}{style}{span}>{text}</{tag}>"


def picture(light: bytes, dark: bytes, caption: str) -> str:
    """Return a picture with its caption, one PNG for light pages and one for dark ones."""
    return (
        '<figure><picture><source media="(prefers-color-scheme: dark)" '
        f'srcset="{_data(dark)}"><img src="{_data(light)}" alt="{escape(caption)}"></picture>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _data(image: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(image).decode()}"
