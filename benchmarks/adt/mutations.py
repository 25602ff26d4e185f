"""Messages of patient care, and what becomes of them on a bad way: damaged by a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from random import Random

from replay.adt.hospital import Hospital
from replay.adt.segments import RESULTS, header
from state.adt.triggers import KNOWN

SIMULATED = 300
MOST_BYTES = 1 << 16
"""About where a damaged message ends; a huge field is within it."""
DAMAGED = (1, 1, 1, 2, 3, 4)
"""How many damages a message has: of many, little is left that could be read."""
SEPARATORS = b"|^~\\&\r\n"
LABELS = (b"UNICODE UTF-8", b"8859/1", b"8859/5", b"ISO IR87", b"GB 18030-2000", b"BIG-5", b"ASCII",
          b"UNICODE", b"8859/1~ISO IR87", b"frob", b"")  # fmt: skip
BAD_TEXT = (
    b"\xc3\x28",
    b"\xff\xfe",
    b"\x1b$B\x1b(J",
    b"\x81\x30",
    b"\xed\xa0\x80",
    b"\0",
    b"\xf0\x9f",
)
"""Pieces that are no text in one character set or another."""
PV1 = (
    "PV1|1|I|W1^R{bed}^A|E||W1^R{old}^A|||||||||||||V{visit}^^^GH^VN|||||||||||||||||01||||||||"
    "20240305080000|20240306100000"
)
BY_HAND = (
    "MSH|^~\\&|PAS|GH|HEADRACE|GH|20240305090000{zone}||ADT^{trigger}|C{number}|P|2.5.1",
    "EVN|{trigger}|20240305090000||||202403050{hour}00",
    "PID|1||{patient}^^^GH^MR~N9^^^NHS^NI||TESTCASE^ANNA|||||||||||||A{visit}^^^GH|||{mother}",
    "MRG|{other}^^^GH^MR||A{old}^^^GH||V{old}^^^GH",
    PV1,
    "NPU|W1^R{bed}^A|H",
)
RESULT = (
    "MSH|^~\\&|LAB|GH|HEADRACE|GH|20240305090000||ORU^R01|L{number}|P|2.5.1",
    "PID|1||{patient}^^^GH^MR",
    "PV1|1|I|W1^R{bed}^A||||||||||||||||V{visit}^^^GH^VN",
    "ORC|RE||F{number}",
    "OBR|1||F{number}|BLOOD^Blood^L|||20240305083000",
    "OBX|1|NM|718-7^Hb^LN||1{bed}.5|g/dL|||||F|||20240305083000",
    "OBX|2|SN|2951-2^Na^LN|1.2|<=^13{bed}||||||C",
    "OBX|3|CWE|883-9^ABO^LN||278149003^A^SCT~x^y^L||||||P",
    "OBX|4|TX|x^y^L||a\\.br\\b\\X0D\\||||||D",
)
Damage = Callable[[Random, bytes, Sequence[bytes]], bytes]


def messages(seed: int) -> list[bytes]:
    """Return sound messages: of a simulated hospital, and of each trigger by hand, and results."""
    told = (made for made in Hospital(seed).messages() if made.trigger != RESULTS)
    simulated = [
        f"{header(made.trigger, made.recorded_s, number)}\r{made.body}".encode()
        for number, made in enumerate(islice(told, SIMULATED))
    ]
    rng = Random(f"by hand {seed}")
    made = [_by_hand(rng, BY_HAND, trigger) for trigger in sorted(KNOWN) for _ in range(3)]
    return simulated + made + [_by_hand(rng, RESULT, "R01") for _ in range(20)]


def damaged(rng: Random, message: bytes, others: Sequence[bytes]) -> bytes:
    """Return a message with one to four damages; ``others`` lend theirs."""
    for damage in rng.choices(DAMAGES, k=rng.choice(DAMAGED)):
        message = damage(rng, message, others)[:MOST_BYTES]
    return message


def _by_hand(rng: Random, segments: Sequence[str], trigger: str) -> bytes:
    """Return a message about one of few patients, visits and beds, so that they have to do."""
    few = {name: rng.randrange(6) for name in ("patient", "other", "visit", "old", "bed", "hour")}
    mother = f"{rng.randrange(6)}^^^GH^MR" if rng.random() < 0.1 else ""
    zone = rng.choice(("", "+0100", "-0500"))
    number = rng.randrange(10**6)
    text = "\r".join(segments)
    return text.format(trigger=trigger, number=number, mother=mother, zone=zone, **few).encode()


def _flips(rng: Random, message: bytes, _: Sequence[bytes]) -> bytes:
    changed = bytearray(message)
    for _each in range(rng.randint(1, 8) if changed else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(rng: Random, message: bytes, _: Sequence[bytes]) -> bytes:
    return message[: rng.randrange(len(message) + 1)]


def _separator(rng: Random, message: bytes, _: Sequence[bytes]) -> bytes:
    """Replace one separator by another: everywhere, or once."""
    old, new = (bytes([rng.choice(SEPARATORS)]) for _ in range(2))
    return message.replace(old, new, rng.choice((1, 1, -1)))


def _declared(rng: Random, message: bytes, _: Sequence[bytes]) -> bytes:
    """Name other separators in MSH."""
    return message[:3] + bytes(rng.choices(b"|^~\\&#$ \rAM\xe9\0", k=5)) + message[8:]


def _segments(rng: Random, message: bytes, others: Sequence[bytes]) -> bytes:
    """Shuffle, repeat, drop, or take in segments of another message; MSH stays mostly."""
    first, *rest = message.split(b"\r")
    kind = rng.randrange(4)
    if kind == 0:
        rng.shuffle(rest)
    elif kind == 1 and rest:
        rest += [rng.choice(rest)] * rng.choice((1, 2, 1100))
    elif kind == 2 and rest:
        del rest[rng.randrange(len(rest))]
    else:
        rest += rng.choice(others).split(b"\r")[rng.randrange(2) :]
    return b"\r".join((first, *rest))


def _huge(rng: Random, message: bytes, _: Sequence[bytes]) -> bytes:
    """Make a field long, or of many parts."""
    piece = rng.choice(
        (b"9", b"^", b"~", b"&", b"\\", b"\\X41\\", b"x^^^GH^MR~", b"\\E", b"\r", b" ")
    )
    return _inserted(rng, message, piece * rng.choice((40, 300, 9000)))


def _text(rng: Random, message: bytes, _: Sequence[bytes]) -> bytes:
    """Break the character set: another label, bytes that are not of it, or both."""
    if rng.random() < 0.5:
        message = _in_field(rng, message, 18, rng.choice(LABELS))
    return _inserted(rng, message, rng.choice(BAD_TEXT)) if rng.random() < 0.7 else message


def _value(rng: Random, message: bytes, _: Sequence[bytes]) -> bytes:
    """Write something strange into a field of a segment."""
    strange = (b'""', b"", b"99999999999999", b"20240231", b"0000", b"2024030509+9999", b"A99",
               b"^^^", b"-1", b"1e999", b"nan", b"\\H\\", b"\\Xzz\\", b"19000101", b"ADT^A40",
               b"\x0b", b"\x1c")  # fmt: skip
    return _in_field(rng, message, rng.randrange(1, 46), rng.choice(strange))


def _in_field(rng: Random, message: bytes, number: int, value: bytes) -> bytes:
    """Write a field of MSH for one that only MSH has, else of any segment."""
    segments = message.split(b"\r")
    place = 0 if number == 18 else rng.randrange(len(segments))
    fields = segments[place].split(b"|")
    fields += [b""] * (number - len(fields))
    fields[number - 1 : number] = [value]
    segments[place] = b"|".join(fields)
    return b"\r".join(segments)


def _inserted(rng: Random, message: bytes, piece: bytes) -> bytes:
    at = rng.randrange(len(message) + 1)
    return message[:at] + piece + message[at:]


DAMAGES: tuple[Damage, ...] = (
    _flips, _cut, _separator, _declared, _segments, _huge, _text, _value, _value
)  # fmt: skip
