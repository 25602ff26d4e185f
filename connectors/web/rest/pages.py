"""The page's files, and plotly's script from its package."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from connectors.web.rest.answers import REVALIDATED
from connectors.web.rest.problems import Problem

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


async def _index(_: Request) -> Response:
    return _file(PAGE / "index.html", "text/html")


async def _plotly(_: Request) -> Response:
    return _file(PLOTLY, "text/javascript")


def _file(path: Path, media_type: str) -> Response:
    if not path.is_file():
        raise Problem(404)
    return FileResponse(path, media_type=media_type, headers={"Cache-Control": REVALIDATED})


def routes(page: Path = PAGE) -> Iterable[BaseRoute]:
    """Return the routes of /, /static/plotly.min.js and /static/*."""
    yield Route("/", _index, methods=["GET"])
    yield Route("/static/plotly.min.js", _plotly, methods=["GET"])
    if page.is_dir():
        yield Mount("/static", _Files(directory=page))
