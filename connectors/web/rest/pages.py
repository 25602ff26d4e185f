"""The page's files, what it is told of outputs and tabs, and plotly's script from its package."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from connectors.web.rest.answers import REVALIDATED, tagged, to_body
from state.outputs import Output

PAGE = Path(__file__).parents[1] / "page"
PLOTLY = Path(str(files("plotly") / "package_data" / "plotly.min.js"))


class _Files(StaticFiles):
    """Files that a browser asks about each time: a new release is seen at once.

    Starlette's own lookup keeps to the directory, whatever the path says, and follows no link
    out of it.
    """

    def file_response(self, *arguments: object, **named: object) -> Response:
        """Return a file, or 304."""
        response = super().file_response(*arguments, **named)  # type: ignore[arg-type]  # passed through
        response.headers["Cache-Control"] = REVALIDATED
        return response


def routes(outputs: Iterable[Output], page: Path = PAGE) -> Iterable[BaseRoute]:
    """Return the routes of /, of two lists, of plotly's script and of /static/*.

    ``outputs.json`` describes the outputs that are served; ``tabs.json`` lists the systems with a
    tab of their own, which is ``<system>/tab.js`` in the page's folder, found by its path.
    """
    tabs = sorted(path.parent.name for path in page.glob("*/tab.js"))
    yield Route("/", _one(page / "index.html"), methods=["GET"])
    yield Route("/static/outputs.json", _listed(map(_described, outputs)), methods=["GET"])
    yield Route("/static/tabs.json", _listed(tabs), methods=["GET"])
    yield Route("/static/plotly.min.js", _one(PLOTLY), methods=["GET"])
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


def _one(path: Path) -> Callable[[Request], Awaitable[Response]]:
    directory = _Files(directory=path.parent, check_dir=False)

    async def serve(request: Request) -> Response:
        return await directory.get_response(path.name, request.scope)

    return serve
