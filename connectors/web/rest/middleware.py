"""What holds for every request, as ASGI: headers, the size of bodies, foreign pages."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connectors.web.audit import Audit
from connectors.web.rest.problems import Problem

SECURITY: Mapping[str, str] = {
    # Nothing inline, and nothing of any other host: the page's modules, its style sheet and the
    # charts' script come from here, and 'self' is the WebSocket of this host too (CSP 3, 6.7.2.8).
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Guard:
    """Adds the security headers to all answers, and refuses requests of foreign pages.

    A browser sends a page's ``Origin`` along with what the page posts, or at least says in
    ``Sec-Fetch-Site`` that a page of another site asks (Fetch Metadata): without these checks any
    page that is open on this machine could throw the kill switch, or ask without end. A link to
    our page is followed from anywhere. Where there is no authentication the host has to be loopback
    by name, so that a foreign name that resolves to loopback (DNS rebinding) is of no use.
    """

    def __init__(
        self, app: ASGIApp, audit: Audit, origins: tuple[str, ...], authenticated: bool
    ) -> None:
        self._app = app
        self._audit = audit
        self._origins = frozenset(origins)
        self._authenticated = authenticated

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
            await send(message)

        problem = self._refusal(Headers(scope=scope))
        if problem is not None:
            address = scope["client"][0] if scope.get("client") else ""
            what, code = f"{scope['method']} {scope['path'][:64]}", problem.field.lower()
            self._audit.refused("", address, what, code, problem.detail)
            await problem.response()(scope, receive, send_safely)
            return
        await self._app(scope, receive, send_safely)

    def _refusal(self, headers: Headers) -> Problem | None:
        host = headers.get("host", "")
        if not self._authenticated and _hostname(host) not in LOOPBACK:
            return Problem(403, "without authentication only loopback is served", "Host")
        if self._is_foreign(headers, host):
            return Problem(403, "pages of this origin are not served", "Origin")
        return None

    def _is_foreign(self, headers: Headers, host: str) -> bool:
        origin = headers.get("origin")
        if origin is not None:
            own = _netloc(origin) == host and host != ""
            return not own and origin not in self._origins
        site, goal = headers.get("sec-fetch-site", "none"), headers.get("sec-fetch-dest")
        return site not in ("none", "same-origin") and goal != "document"


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


async def read_body(receive: Receive, limit: int) -> bytes:
    """Return a body of at most ``limit`` bytes. Raises Problem 413, or 400 if it was cut off."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem(400, "the body ends too early")
        body += message.get("body", b"")
        if len(body) > limit:
            raise Problem(413, f"a body has at most {limit} bytes", headers={"Connection": "close"})
        if not message.get("more_body", False):
            return bytes(body)
