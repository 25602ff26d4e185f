"""The gateway's listening socket, and what it refuses to begin with."""

from __future__ import annotations

import asyncio
import socket

import pytest

from connectors.web.server import listen
from flows.feed import gateway
from flows.settings.settings import Settings
from state.errors import Misuse
from tests.connectors.web.feeds import play


def test_what_is_written_does_not_wait_for_an_acknowledgement():
    """With Nagle's algorithm the second part of an answer came 40 ms after the first."""

    async def scene() -> None:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def taken(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted: socket.socket = writer.get_extra_info("socket")
            found.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listening = listen("127.0.0.1", 0, guarded=False)
        async with await asyncio.start_server(taken, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname()[:2])
            assert await found == 1
            writer.close()

    play(scene)


def test_a_page_of_a_system_that_is_none_is_misuse():
    given = Settings.model_validate({"feed": {"port": 0, "systems": ("moon",)}})
    with pytest.raises(Misuse, match=r"feed\.systems names 'moon': choose adt, market"):
        asyncio.run(gateway.serve(given))
