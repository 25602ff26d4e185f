"""One thing that a message says of a visit."""

from __future__ import annotations

from typing import NamedTuple

from state.records import Coordinates


class Fact(NamedTuple):
    """``trigger`` A01 (admitted), A02 (transferred) or A11 (the admission is cancelled).

    ``clinical_ns`` is when it happened, ``recorded_ns`` when that was recorded, ns since 1970 UTC;
    ``location`` the bed, ward^room^bed.
    """

    clinical_ns: int
    recorded_ns: int
    trigger: str
    patient: str
    visit: str
    location: str


class Told(NamedTuple):
    """A fact, and the message that told it."""

    coordinates: Coordinates
    fact: Fact
