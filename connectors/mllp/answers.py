"""What a listener says to a message: whether it is taken, and the acknowledgement's bytes.

Storing and understanding are separate: a message is judged by its first segment alone, and what it
means is found out later. Source: HL7 v2.9, 2.9.2 and 2.9.3 (original and enhanced mode), tables
0008 and 0357.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from connectors.hl7.header import Header, cleaned
from connectors.mllp.frames import END, START
from state.errors import Malformed

ANSWERS = (b"ACK", b"MCF")
"""Message types that are answers themselves."""
PROCESSING_IDS = (b"P", b"T", b"D")
"""The values of MSH-11 (table 0103): production, training, debugging."""
VERSION = re.compile(rb"2\.[1-9](?:\.[0-9]+)?")
SEGMENT_SEQUENCE, FIELD_MISSING, TYPE, PROCESSING, HL7_VERSION, DUPLICATE, INTERNAL = (
    (b"100", b"segment sequence error"),
    (b"101", b"required field missing"),
    (b"200", b"unsupported message type"),
    (b"202", b"unsupported processing id"),
    (b"203", b"unsupported version id"),
    (b"205", b"duplicate key identifier"),
    (b"207", b"application internal error"),
)
"""Conditions of table 0357."""
Condition = tuple[bytes, bytes]


class Verdict(Enum):
    """How a message is answered; the codes are those of original and of enhanced mode."""

    ACCEPT = (b"AA", b"CA")
    REJECT = (b"AR", b"CR")
    """Nothing is wrong with its content, or nobody can tell: it may be sent again."""
    ERROR = (b"AE", b"CE")
    """Its content is wrong: it need not be sent again as it is."""


class Judged(NamedTuple):
    """What the first segment says of a message.

    ``keep`` is whether it is to be stored; ``refusal`` is set where it is not taken, and ``silent``
    where it is an answer itself, and never answered.
    """

    header: Header | None
    keep: bool = True
    refusal: Condition | None = None
    silent: bool = False
    first_number: bool = False
    """Whether it starts the sequence number protocol, and has no content."""


def judge(raw: bytes, processing: Collection[bytes] = PROCESSING_IDS) -> Judged:
    """Return what to do with one message; ``processing`` are the values of MSH-11 to accept."""
    try:
        clean = cleaned(raw)
        header = Header(clean)
    except Malformed:
        return Judged(None, keep=False, refusal=SEGMENT_SEQUENCE)
    if header.part(9) in ANSWERS or _answers(header.field(1)).search(clean):
        return Judged(header, keep=False, silent=True)
    if not header.part(9) and not header.part(9, 2):
        if header.field(13).strip() == b"0":
            return Judged(header, keep=False, first_number=True)
        return Judged(header, keep=False, refusal=TYPE)
    if header.part(11) not in processing:
        return Judged(header, keep=False, refusal=PROCESSING)
    if not VERSION.fullmatch(header.part(12)):
        return Judged(header, keep=False, refusal=HL7_VERSION)
    return Judged(header)


def answer(
    header: Header | None,
    verdict: Verdict,
    control: bytes,
    now: bytes,
    condition: Condition | None = None,
    sequence: bytes = b"",
) -> bytes:
    """Return an acknowledgement without its frame, or b"" where the sender wants none.

    ``header`` is that of the message, None where it has none; ``control`` is the answer's own id,
    ``now`` its time as HL7 writes it, ``sequence`` the number that is expected next (MSA-4).
    """
    mode = 0
    if header is not None:
        mode, wanted = _asked(header)
        if not _wants(wanted, verdict):
            return b""
    fields = _repeated(header)
    separator = fields.separator
    code = verdict.value[mode]
    segments = [
        separator.join(
            [b"MSH", fields.encoding, *fields.from_us, *fields.to_them, now, b"", fields.kind,
             control, fields.processing, fields.version, b"", b"", b"", b"", b"", fields.charset]
        ).rstrip(separator),
        separator.join([b"MSA", code, fields.id, b"", sequence]).rstrip(separator),
    ]  # fmt: skip
    if condition is not None:
        number, text = condition
        told = fields.component.join((number, text, b"HL70357"))
        segments.append(separator.join((b"ERR", b"", b"", told, b"E")))
    # What a frame begins and ends with may be in no field of ours, though it was in theirs.
    return b"".join(segment.translate(None, START + END) + b"\r" for segment in segments)


class _Repeated(NamedTuple):
    """The fields that an answer takes from its message, as bytes."""

    separator: bytes
    component: bytes
    encoding: bytes
    from_us: tuple[bytes, bytes]
    to_them: tuple[bytes, bytes]
    kind: bytes
    processing: bytes
    version: bytes
    charset: bytes
    id: bytes


NOBODY = _Repeated(
    b"|", b"^", b"^~\\&", (b"", b""), (b"", b""), b"ACK", b"P", b"2.5.1", b"", b""
)  # fmt: skip


def _repeated(header: Header | None) -> _Repeated:
    if header is None:
        return NOBODY
    component = header.delimiters.component.encode()
    trigger = header.part(9, 2)
    return _Repeated(
        separator=header.field(1),
        component=component,
        encoding=header.field(2),
        from_us=(header.field(5), header.field(6)),
        to_them=(header.field(3), header.field(4)),
        kind=component.join((b"ACK", trigger, b"ACK")) if trigger else b"ACK",
        processing=header.field(11),
        version=header.field(12),
        charset=header.field(18),
        id=header.field(10),
    )


def _asked(header: Header) -> tuple[int, bytes]:
    """Return the mode, 1 for the enhanced one, and when its sender wants an answer."""
    accept, application = (header.field(number).strip(b' "') for number in (15, 16))
    if accept:  # null is nothing asked for, as empty is
        return 1, accept
    return 0, application or b"AL"


def is_answered(header: Header, verdict: Verdict) -> bool:
    """Return whether the sender of a message asks for an answer with this verdict."""
    return _wants(_asked(header)[1], verdict)


def _wants(condition: bytes, verdict: Verdict) -> bool:
    """Return whether a sender wants to hear of it. Source: table 0155; what is not in it is AL."""
    if condition == b"NE":
        return False
    if condition == b"ER":
        return verdict is not Verdict.ACCEPT
    return verdict is Verdict.ACCEPT if condition == b"SU" else True


@lru_cache(maxsize=64)
def _answers(separator: bytes) -> re.Pattern[bytes]:
    """Return what finds a segment MSA."""
    return re.compile(rb"\rMSA" + re.escape(separator))
