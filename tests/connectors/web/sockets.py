"""Requests and frames for the WebSocket as bytes, which no client of a library would send."""

from __future__ import annotations

import asyncio

PING = b"\x89\x80\0\0\0\0"

FIRST_PART, EMPTY_PART = b"\x01\x80\0\0\0\0", b"\x00\x80\0\0\0\0"
"""Frames without content, masked with zeros (RFC 6455, section 5.2)."""


def upgrade(host: str, more: str = "") -> bytes:
    """Return a request for the WebSocket."""
    return (
        f"GET /ws HTTP/1.1\r\nHost: {host}\r\n{more}Connection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()


async def raw(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a connection that has shaken hands and speaks by bytes."""
    port = int(url.rpartition(":")[2].partition("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(upgrade(f"127.0.0.1:{port}"))
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    return reader, writer
