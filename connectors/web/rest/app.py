"""The Starlette app of the feed."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


def make_app() -> Starlette:
    """Return the app that answers everything but WebSocket."""
    return Starlette(routes=[Route("/live", _live)])


async def _live(_: Request) -> JSONResponse:
    return JSONResponse({"live": True})
