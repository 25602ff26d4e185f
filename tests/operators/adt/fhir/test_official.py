"""An Encounter of one message is what the official maps say of it, but for what docs/fhir.md says.

The maps know one message at a time, so each message is told to a timeline that knows nothing else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from connectors.hl7.files import contents
from connectors.hl7.message import Message
from state.errors import BadRecord
from tests.operators.adt.fhir import official
from tests.operators.adt.fhir.messages import Followed
from tests.operators.adt.test_cases import raws_of
from tests.reference.test_adt_cases import BY_NAME

DOCS = Path(__file__).parents[4] / "docs/fhir.md"
DATA = official.MAPS.parent
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="there is no ../shared/data/adt")


@cache
def messages() -> list[bytes]:
    """Every ADT message of the data."""
    paths = [DATA / "simhospital/messages.out", *sorted(DATA.glob("linuxforhealth/messages/*"))]
    found = [raw for path in paths for raw in contents(path.read_bytes()).messages]
    found += [
        raw for case in BY_NAME.values() for f in case["input"]["files"] for raw in raws_of(f)
    ]
    return [raw for raw in found if Message(raw).text("MSH", 9) == "ADT"]


def alone(raw: bytes) -> tuple[dict[str, Any], Followed] | None:
    """The Encounter of one message, and all that it refers to; None where it tells of none."""
    followed = Followed()
    try:
        followed.take(raw)
    except BadRecord:
        return None
    number = Message(raw).text("PV1", 19)
    told = [each for each in followed.of("Encounter") if len(each["identifier"]) > 1]
    told = [each for each in told if not number or each["identifier"][1]["value"] == number]
    return (told[0], followed) if told and told[0]["status"] != "unknown" else None


def elements(encounter: dict[str, Any], followed: Followed) -> dict[str, Any]:
    """What the maps speak of, as our Encounter has it."""
    stay = encounter.get("hospitalization", {})
    place = (encounter.get("location") or [{}])[-1]
    period = encounter.get("period", {})
    doctor = (encounter.get("participant") or [{}])[0].get("individual", {}).get("reference")
    return {
        "class": (encounter["class"]["system"], encounter["class"]["code"]),
        "status": encounter["status"],
        "place": followed.held[place["location"]["reference"]]["name"] if place else None,
        "place status": place.get("status"),
        "type": _first(encounter.get("type", [{}])[0]),
        "attending": doctor and _number(followed.held[doctor]),
        "service": _first(encounter.get("serviceType", {})),
        "source": _first(stay.get("admitSource", {}))[1],
        "vip": _first(stay.get("specialCourtesy", [{}])[0])[1],
        "visit": encounter["identifier"][1]["value"],
        "disposition": stay.get("dischargeDisposition", {"coding": [{}]})["coding"][-1].get("code"),
        "start": period.get("start"),
        "end": period.get("end"),
    }


def _first(concept: dict[str, Any]) -> tuple[Any, Any]:
    coding = concept.get("coding", [{}])[0]
    return coding.get("system"), coding.get("code")


def _number(practitioner: dict[str, Any]) -> Any:
    return practitioner["identifier"][1]["value"] if practitioner["identifier"][1:] else None


def differences() -> Iterator[tuple[str, str]]:
    """Yield the trigger and the element of each difference, and of each message "-" if none."""
    for raw in messages():
        message, found = Message(raw), alone(raw)
        wanted = official.encounter(message)
        if found is None or not wanted:
            continue
        ours, trigger = elements(*found), message.text("MSH", 9, 2)
        for name, value in wanted.items():
            yield trigger, "-" if ours[name] == value else name
        event = official.by_event(message)
        if event and event != ours["status"]:
            yield trigger, "status by event"


def documented() -> set[tuple[str, str]]:
    """The differences that docs/fhir.md lists: a row for each element, with its triggers."""
    part = DOCS.read_text().split("## Where we differ from the official maps")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([a-z ]+?) \| (A[A0-9, ]+?) \|", part, re.MULTILINE)
    return {(trigger, name) for name, list_ in rows for trigger in list_.split(", ")}


@needs_data
def test_encounters_are_as_the_maps_say_and_each_difference_has_a_reason():
    found = Counter(differences())
    assert sum(count for (_, name), count in found.items() if name == "-") > 2000
    assert {each for each in found if each[1] != "-"} == documented()


@needs_data
def test_each_field_of_the_map_is_sent_or_has_a_reason_why_not():
    part = DOCS.read_text().split("## What is not sent")[1].split("\n## ")[0]
    for field, attribute in official.fields():
        sent = attribute.strip() in official.HERE.get(field, ())
        assert sent or re.search(rf"\b{field}\b", part), f"{field} {attribute}"
