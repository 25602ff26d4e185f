"""Texts that are planted in messages, and a search that finds them in any form of writing."""

from __future__ import annotations

import base64
from collections.abc import Iterator

FIELDS = (
    "PID3", "FAMILY", "GIVEN", "STREET", "CITY", "PHONE", "PID18", "PID19", "MOTHER", "KIN", "WARD",
    "VISIT", "RESULT", "NOTE", "DIAGNOSIS", "LOCAL",
)  # fmt: skip
"""Where a text is planted."""
TAIL = "ZQCANARYQZ"
"""Ends each of them: who searches it finds any."""
PLANTED = {name: f"QZ{name}{TAIL}" for name in FIELDS}
CONTROL = "QZCONTROLQZ"
"""Planted where it has to be found: a search that finds it there would find the others."""


def message(control: str, number: int, *, version: str = "2.5.1", patient: bool = True) -> bytes:
    """Return an admission with a planted text in every field that tells of a person."""
    at = {name: f"{text}{number}" for name, text in PLANTED.items()}
    number_of = f"{at['PID3']}^^^GH^MR" if patient else ""
    pid = ["PID", "1", "", number_of, "", f"{at['FAMILY']}^{at['GIVEN']}", "", "1980"]
    pid += ["F", "", "", f"{at['STREET']}^^{at['CITY']}^^12345", "", at["PHONE"], "", "", "", ""]
    pid += [at["PID18"], at["PID19"], "", f"{at['MOTHER']}^^^GH^MR"]
    segments = [
        rf"MSH|^~\&|PAS|GH|HEADRACE|GH|20240305090000||ADT^A01|{control}|P|{version}",
        "EVN|A01|20240305090000",
        "|".join(pid),
        f"NK1|1|{at['KIN']}^X",
        f"PV1|1|I|{at['WARD']}^1^1|||" + "|" * 13 + at["VISIT"],
        f"OBX|1|TX|8716-3^Vital||{at['RESULT']}",
        f"NTE|1||{at['NOTE']}",
        f"DG1|1||{at['DIAGNOSIS']}",
        f"ZXX|{at['LOCAL']}",
    ]
    return "\r".join(segments).encode()


def forms(text: str) -> Iterator[bytes]:
    """Yield what of a text is in any bytes that hold it: as it is, in UTF-16, hex, and base64.

    In base64 it depends on where in a group of three bytes it begins: the groups that lie within
    it are the same whatever surrounds it.
    """
    raw = text.encode()
    yield raw
    yield text.encode("utf-16-le")
    yield text.encode("utf-16-be")
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    for skipped in range(3):
        inner = raw[skipped:]
        yield base64.b64encode(inner[: len(inner) // 3 * 3])


def holds(content: bytes, text: str) -> bool:
    """Return whether bytes hold a text in any form."""
    return any(form in content for form in forms(text))
