"""RFC 6455 against a raw socket: the cases of the Autobahn test suite, by hand.

The suite itself (25.10.1) is of Python 2 and wants an echo; here, a message that is taken is
answered with an ``error``.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson
import pytest

from tests.connectors.web.feeds import SECONDS, play, served

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
LIMIT = 4096
MASK = b"\x37\xfa\x21\x3d"
TAKEN = "taken"
"""A message came through."""


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes = MASK,
    told: int | None = None,
) -> bytes:
    """Return a frame of a client; ``told`` is the length that it claims."""
    length = len(payload) if told is None else told
    head = bytes([fin << 7 | rsv << 4 | opcode])
    masked = 0x80 if mask else 0
    if length < 126:
        head += bytes([masked | length])
    elif length < 1 << 16:
        head += bytes([masked | 126]) + struct.pack("!H", length)
    else:
        head += bytes([masked | 127]) + struct.pack("!Q", length)
    body = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)) if mask else payload
    return head + mask + body


def close(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason)


def parts(*pieces: bytes, opcode: int = TEXT) -> list[bytes]:
    """Return a message in fragments."""
    codes = [opcode, *[CONT] * (len(pieces) - 1)]
    last = len(pieces) - 1
    return [frame(codes[i], piece, fin=i == last) for i, piece in enumerate(pieces)]


def message(length: int) -> bytes:
    """Return a message of the protocol of so many bytes."""
    return b'{"type":1}'.ljust(length)


class Case(NamedTuple):
    """What is sent, and what comes of it: TAKEN, the payloads of pongs, or a close code."""

    name: str
    sent: list[bytes]
    expected: list[Any]


def framing() -> Iterable[Case]:
    for opcode in (TEXT, BINARY):
        for length in (10, 125, 126, 127, 128, LIMIT - 1, LIMIT):
            yield Case(f"{opcode} of {length}", [frame(opcode, message(length))], [TAKEN])
        yield Case(f"{opcode} of 0", [frame(opcode)], [TAKEN])
        yield Case(f"{opcode} by bytes", singles(frame(opcode, message(130))), [TAKEN])
        large = frame(opcode, message(LIMIT + 1))
        yield Case(f"{opcode} too large", [large], [1009])
    for told in (LIMIT + 1, 1 << 16, 1 << 32, (1 << 63) - 1):
        yield Case(f"a claim of {told}", [frame(TEXT, b"", told=told)], [1009])
    yield Case("too large in parts", parts(*[message(LIMIT // 4)] * 5), [1009])
    yield Case("a zero mask", [frame(TEXT, message(20), mask=b"\0\0\0\0")], [TAKEN])
    yield Case("no mask", [frame(TEXT, message(20), mask=b"")], [1002])
    yield Case("a ping without a mask", [frame(PING, b"x", mask=b"")], [1002])


def reserved() -> Iterable[Case]:
    for rsv in range(1, 8):
        for opcode in (TEXT, BINARY, PING, CLOSE):
            yield Case(f"rsv {rsv} of {opcode}", [frame(opcode, rsv=rsv)], [1002])
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        yield Case(f"opcode {opcode}", [frame(opcode)], [1002])
        first = frame(TEXT, message(20))
        yield Case(f"opcode {opcode} behind", [first, frame(opcode, b"x")], [TAKEN, 1002])


def control() -> Iterable[Case]:
    for payload in (b"", b"hello", bytes(range(256))[:125], b"\0\xff\xfe\xfd"):
        yield Case(f"ping {payload[:5]!r}", [frame(PING, payload)], [payload])
        yield Case(f"ping {payload[:5]!r} by bytes", singles(frame(PING, payload)), [payload])
    yield Case(
        "ten pings", [frame(PING, b"%d" % n) for n in range(10)], [b"%d" % n for n in range(10)]
    )
    for opcode in (PING, PONG, CLOSE):
        yield Case(f"{opcode} of 126", [frame(opcode, b"\x03\xe8" + b"x" * 124)], [1002])
        yield Case(f"{opcode} in parts", parts(b"a", b"b", opcode=opcode), [1002])
    pong = [frame(PONG, b"nobody asked"), frame(PONG), frame(PING, b"x")]
    yield Case("pongs", pong, [b"x"])


def fragments() -> Iterable[Case]:
    whole = message(30)
    pieces = [whole[:10], whole[10:20], whole[20:]]
    sent = parts(*pieces)
    yield Case("three parts", sent, [TAKEN])
    yield Case("at once", [b"".join(sent)], [TAKEN])
    yield Case("by bytes", singles(b"".join(sent)), [TAKEN])
    yield Case("empty parts", parts(b"", b"", whole, b""), [TAKEN])
    ping = frame(PING, b"p")
    yield Case("a ping between", [sent[0], ping, sent[1], ping, sent[2]], [b"p", b"p", TAKEN])
    yield Case("a pong between", [sent[0], frame(PONG, b"p"), *sent[1:]], [TAKEN])
    # The suite expects 1000; the library we use takes half a message for a fault.
    yield Case("a close between", [sent[0], close(1000)], [1002])
    yield Case("nothing to go on with", [frame(CONT, whole)], [1002])
    yield Case("nor with a part", [frame(CONT, whole, fin=False)], [1002])
    again = [frame(TEXT, whole), frame(CONT, whole)]
    yield Case("behind a whole message", again, [TAKEN, 1002])
    for opcode in (TEXT, BINARY):
        yield Case(f"{opcode} within", [sent[0], frame(opcode, whole)], [1002])


VALID = ["κόσμε", "\x00", "\x7f\x80", "߿ࠀ", "￿𐀀", "\U0010ffff", "퟿", "﷐", "�"]
INVALID = {
    "a continuation alone": b"\x80",
    "two": b"\xbf\xbf",
    "a lonely start": b"\xc2 ",
    "an unfinished three": b"\xe2\x82",
    "an unfinished four": b"\xf0\x9f\x98",
    "an overlong slash": b"\xc0\xaf",
    "an overlong slash of three": b"\xe0\x80\xaf",
    "an overlong slash of four": b"\xf0\x80\x80\xaf",
    "an overlong zero": b"\xc0\x80",
    "the largest overlong": b"\xf0\x8f\xbf\xbf",
    "a surrogate": b"\xed\xa0\x80",
    "a pair of them": b"\xed\xa0\x80\xed\xb0\x80",
    "beyond Unicode": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "six bytes": b"\xfc\x84\x80\x80\x80\x80",
    "fe": b"\xfe",
    "ff": b"\xff",
}


def texts() -> Iterable[Case]:
    for number, text in enumerate(VALID):
        data = b'{"type":"%b"}' % text.encode()
        yield Case(f"valid {number}", [frame(TEXT, data)], [TAKEN])
        yield Case(f"valid {number} by bytes", parts(*singles(data)), [TAKEN])
    for name, data in INVALID.items():
        whole = b'{"type":"' + data
        yield Case(name, [frame(TEXT, whole)], [1007])
        yield Case(f"{name}, in parts", parts(whole[:10], whole[10:] + b"", b""), [1007])
        yield Case(f"{name}, by bytes", parts(*singles(whole)), [1007])
        yield Case(f"{name}, in binary", [frame(BINARY, whole)], [TAKEN])
    # The fault is told before the message ends, and a message of its own begins afresh.
    early = [frame(TEXT, b"\xff", fin=False)]
    yield Case("early", early, [1007])
    halves = [frame(BINARY, b"\xe2\x82"), frame(TEXT, message(20))]
    yield Case("binary leaves nothing", halves, [TAKEN, TAKEN])


GOOD = (
    1000,
    1001,
    1002,
    1003,
    1007,
    1008,
    1009,
    1010,
    1011,
    1012,
    1013,
    1014,
    3000,
    3999,
    4000,
    4999,
)
BAD = (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)


def closing() -> Iterable[Case]:
    yield Case("without a code", [frame(CLOSE)], [None])
    yield Case("a code of one byte", [frame(CLOSE, b"\x03")], [1002])
    yield Case("a long reason", [close(1000, b"r" * 123)], [1000])
    yield Case("a reason that is none", [close(1000, b"\xce\xba\xff")], [1007])
    for code in GOOD:
        yield Case(f"{code}", [close(code)], [code])
        yield Case(f"{code} why", [close(code, "schluß".encode())], [code])
    for code in BAD:
        yield Case(f"{code}", [close(code)], [1002])
    late = [close(1000), frame(PING, b"late"), frame(TEXT, message(20)), close(1001)]
    yield Case("what comes behind", late, [1000])


def deflated() -> Iterable[Case]:
    """No extension is agreed on, so its bit is an error."""
    data = b"\xaaV*\xa9,HU\xb2\x02\x00"
    yield Case("a compressed text", [frame(TEXT, data, rsv=4)], [1002])
    yield Case("a compressed ping", [frame(PING, data, rsv=4)], [1002])


def singles(data: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in data]


async def connected(
    port: int, more: str = ""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
    """Shake hands by hand; return the head of the answer, too."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\n{more}"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 "), head
    return reader, writer, head


async def told(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Return opcode and payload of the next frame, which is whole and not masked."""
    first, second = await reader.readexactly(2)
    assert first & 0xF0 == 0x80
    length = second
    if length == 126:
        (length,) = struct.unpack("!H", await reader.readexactly(2))
    elif length == 127:
        (length,) = struct.unpack("!Q", await reader.readexactly(8))
    return first & 15, await reader.readexactly(length)


async def seen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> list[Any]:
    """Return the next answers as cases tell them; a close is answered, and nothing follows it."""
    found: list[Any] = []
    while len(found) < count:
        opcode, payload = await told(reader)
        if opcode == PONG:
            found.append(payload)
        elif opcode == CLOSE:
            found.append(struct.unpack("!H", payload[:2])[0] if payload else None)
            writer.write(frame(CLOSE, payload))
            assert await reader.read() == b"", "nothing follows"
            break
        else:
            content = orjson.loads(payload)
            if content["type"] == "error" and content["code"] == "bad-message":
                found.append(TAKEN)
    return found


@pytest.mark.parametrize(
    "cases",
    [framing, reserved, control, fragments, texts, closing, deflated],
    ids=lambda c: c.__name__,
)
def test_the_server_keeps_to_the_protocol(redis_url, cases):
    async def scene() -> None:
        many = {"connections_per_second": 10_000, "requests_per_second": 10_000}
        async with served(redis_url, message_bytes=LIMIT, **many) as url:
            port = int(url.rpartition(":")[2].partition("/")[0])
            for case in cases():
                reader, writer, _ = await connected(port)
                for data in case.sent:
                    writer.write(data)
                    if len(case.sent) > 20:
                        await asyncio.sleep(0)
                async with asyncio.timeout(SECONDS):
                    assert await seen(reader, writer, len(case.expected)) == case.expected, (
                        case.name
                    )
                writer.close()

    play(scene)


def test_no_extension_is_agreed_on(redis_url):
    async def scene() -> None:
        async with served(redis_url) as url:
            port = int(url.rpartition(":")[2].partition("/")[0])
            for offer in (
                "permessage-deflate",
                "permessage-deflate; client_max_window_bits, x-other",
            ):
                _, writer, head = await connected(port, f"Sec-WebSocket-Extensions: {offer}\r\n")
                assert b"sec-websocket-extensions" not in head.lower()
                writer.close()

    play(scene)
