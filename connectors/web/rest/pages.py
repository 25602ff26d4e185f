"""The page's files, what it is told of outputs and tabs, and the charts' script."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from html import escape
from importlib.util import find_spec
from mimetypes import guess_type
from pathlib import Path
from typing import Any
from urllib.parse import quote

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from connectors.web.rest.answers import tagged, to_body
from state.outputs import Output

PAGE = Path(__file__).parents[1] / "page"
_PACKAGE = find_spec("lwcharts")  # found, not imported: that would load pandas
assert _PACKAGE is not None
assert _PACKAGE.origin is not None
CHARTS = Path(_PACKAGE.origin).parent / "vendor" / "lightweight-charts.standalone.production.js"
"""TradingView Lightweight Charts 5.2.0 (Apache 2.0), as the package lwcharts carries it."""
CHARTS_SHA256 = "c0992580867c4912cc9385b3c2728315bcc1a76c7f1087dca908430fccdf31d7"
HEAD = "<!-- head -->"
"""Where index.html has what `_document` adds to it."""
IMPORTED = re.compile(r'^import .* from "(\.[^"]+)";$', re.MULTILINE)


class _Files(StaticFiles):
    """Files that a browser asks about each time: a new release is seen at once.

    Starlette's own lookup keeps to the directory, whatever the path says, and follows no link
    out of it. A file is read at once, since it is small: Starlette's answer would go to a thread
    three times for it, which the switches in the page's head would wait for.
    """

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Return a file, or 304."""
        kind = guess_type(full_path)[0] or "text/plain"
        return tagged(Request(scope), Path(full_path).read_bytes(), kind)


def routes(
    outputs: Iterable[Output], page: Path = PAGE, systems: Sequence[str] = ()
) -> Iterable[BaseRoute]:
    """Return the routes of /, of outputs.json, of the charts' script and of /static/*.

    ``outputs.json`` describes the outputs that are served. A system's tabs are ``<system>/tab.js``
    in the page's folder, its part of the head ``<system>/bar.js`` and its looks
    ``<system>/style.css``, all found by their paths. Where ``systems`` are named, the page has
    tabs of these alone, in this order.
    """
    yield Route("/", _index(page, systems), methods=["GET"])
    yield Route("/static/outputs.json", _listed(map(_described, outputs)), methods=["GET"])
    yield Route("/static/lightweight-charts.js", _one(CHARTS), methods=["GET"])
    yield Mount("/static", _Files(directory=page, check_dir=False))


def _described(output: Output) -> dict[str, Any]:
    return {
        "system": output.system,
        "name": output.topic,
        "key": output.key,
        "time": output.time,
        "columns": {column.name: column.kind.name.lower() for column in output.columns},
        "description": output.description,
    }


def _listed(items: Iterable[Any]) -> Callable[[Request], Awaitable[Response]]:
    body = to_body(list(items))

    async def serve(request: Request) -> Response:
        return tagged(request, body)

    return serve


def _index(page: Path, systems: Sequence[str]) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        return tagged(request, await run_sync(_document, page, systems), "text/html")

    return serve


def _document(page: Path, systems: Sequence[str]) -> bytes:
    """Return index.html with what a browser would find out late.

    These are the systems with a tab and with a part of the head, and the modules that the head
    needs, each of which would be asked for only once another has named it.
    """
    found = {name: _systems(page, f"{name}.js", systems) for name in ("tab", "bar")}
    head = [f'<meta name="{name}s" content="{escape(" ".join(of))}">' for name, of in found.items()]
    sheets = [f"{system}/style.css" for system in _systems(page, "style.css", systems)]
    head += [f'<link rel="stylesheet" href="/static/{quote(name)}">' for name in sheets]
    first = [page / "app.js", *(page / system / "bar.js" for system in found["bar"])]
    names = [path.relative_to(page).as_posix() for path in _reached(first)]
    head += [f'<link rel="modulepreload" href="/static/{quote(name)}">' for name in names]
    return (page / "index.html").read_text().replace(HEAD, "\n".join(head)).encode()


def _systems(page: Path, name: str, systems: Sequence[str]) -> list[str]:
    found = sorted(path.parent.name for path in page.glob(f"*/{name}"))
    return [each for each in systems if each in found] if systems else found


def _reached(modules: Iterable[Path]) -> list[Path]:
    """Return these modules and those that they import, directly or not."""
    found = [path.resolve() for path in modules if path.exists()]
    for path in found:  # it grows meanwhile
        imported = (path.parent / name for name in IMPORTED.findall(path.read_text()))
        found += [new for name in imported if (new := name.resolve()) not in found]
    return found


def _one(path: Path) -> Callable[[Request], Awaitable[Response]]:
    directory = _Files(directory=path.parent, check_dir=False)

    async def serve(request: Request) -> Response:
        return await directory.get_response(path.name, request.scope)

    return serve
