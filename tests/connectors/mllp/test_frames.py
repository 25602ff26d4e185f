"""Frames are the same however a stream is cut, and nothing in it ends the reading."""

from __future__ import annotations

import random
import time
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from connectors.mllp.frames import Frames, TooLong

PIECES = [b"\x0b", b"\x1c\r", b"\x1c", b"\r", b"MSH|a", b"MS", b"x", b"\0", b"log\n"]


def received(data: bytes, cuts: list[int], most: int = 1000) -> tuple[list[bytes | TooLong], int]:
    frames = Frames(most)
    found: list[bytes | TooLong] = []
    start = 0
    for end in (*sorted(cuts), len(data)):
        found += frames.receive(data[start:end])
        start = end
    return found, frames.noise


def by_the_definition(data: bytes) -> list[bytes]:
    """Read byte by byte; what is blank is no frame."""
    found: list[bytes] = []
    content: bytes | None = None
    for place in range(len(data)):
        one = data[place : place + 1]
        if content is None:
            if one == b"\x0b":
                content = b""
        elif data[place : place + 4] == b"\x0bMSH":
            found.append(content)
            content = b""
        elif one == b"\r" and content.endswith(b"\x1c"):
            found.append(content[:-1])
            content = None
        else:
            content += one
    return [each for each in found if each.strip(b"\0\r\n\x1c\x0b\xef\xbb\xbf")]


@given(st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join), st.data())
def test_however_a_stream_is_cut(data, draw):
    cuts = draw.draw(st.lists(st.integers(0, len(data)), max_size=6))
    found, noise = received(data, cuts)
    assert found == by_the_definition(data)
    assert (found, noise) == received(data, list(range(len(data))))


def test_one_byte_at_a_time():
    data = b"\0\x0b\x0bMSH|1\r\x1c\r\x1c\rlog\n\x0bMSH|2\x0bMSH|3\r\x1c\r"
    found, noise = received(data, list(range(len(data))))
    assert found == [b"MSH|1\r", b"MSH|2", b"MSH|3\r"]
    assert noise == len("log")


def test_a_frame_beyond_the_bound_is_skipped_and_told():
    frames = Frames(64)
    long = b"MSH|" + random.Random(1).randbytes(10_000).replace(b"\x0b", b"").replace(b"\x1c", b"")
    found: list[bytes | TooLong] = []
    for start in range(0, len(long), 100):
        found += frames.receive(b"\x0b" * (start == 0) + long[start : start + 100])
        assert len(frames._held) <= 64 + 100
    found += frames.receive(b"\x1c")
    found += frames.receive(b"\r\x0bMSH|2\x1c\r")
    assert found == [TooLong(len(long), sha256(long).hexdigest()), b"MSH|2"]


def test_exactly_the_bound_is_a_frame():
    assert received(b"\x0b" + b"x" * 64 + b"\x1c\r", [], 64)[0] == [b"x" * 64]
    whole = b"\x0b" + b"x" * 64 + b"\x1c\r"
    assert received(whole, list(range(len(whole))), 64)[0] == [b"x" * 64]
    unended = b"\x0b" + b"x" * 64 + b"\x0bMSH|\x1c\r"
    assert received(unended, list(range(len(unended))), 64)[0] == [b"x" * 64, b"MSH|"]
    longer = b"\x0b" + b"x" * 65 + b"\x1c\r"
    for cuts in ([], list(range(len(longer)))):
        [told] = received(longer, cuts, 64)[0]
        assert told == TooLong(65, sha256(b"x" * 65).hexdigest())


def test_what_is_left_of_a_frame_at_the_end():
    frames = Frames(64)
    assert frames.receive(b"\x0bMSH|1") == []
    assert frames.close() == b"MSH|1"
    assert frames.receive("log\x0bMSH|»".encode()) == []
    assert frames.close() == "MSH|»".encode()
    assert frames.close() == b""
    assert Frames(64).close() == b""


def test_streams_of_random_bytes():
    """The short form of the fuzz run: all cuts give the same."""
    rng = random.Random(2)
    for _ in range(1000):
        data = b"".join(rng.choice((*PIECES, rng.randbytes(5))) for _ in range(rng.randint(0, 200)))
        cuts = [rng.randint(0, len(data)) for _ in range(rng.randint(0, 40))]
        most = rng.randint(1, 20)
        assert received(data, cuts, most) == received(data, [], most)


def test_a_flood_of_starts_is_read_in_one_pass():
    started = time.process_time()
    found, _ = received(b"\x0bMSH" * 100_000, [])
    assert len(found) == 99_999
    assert time.process_time() - started < 20
