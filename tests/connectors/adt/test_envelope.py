"""The key of a message is what it may ever be merged within."""

from __future__ import annotations

from datetime import UTC

import pytest

from connectors.adt.envelope import domain
from connectors.adt.reader import Reader
from connectors.hl7.header import Header
from connectors.hl7.message import Message


@pytest.mark.parametrize(
    ("application", "facility", "key"),
    [
        ("PAS", "GH", b"GH"),
        ("PAS", "GH^1.2.3^ISO", b"GH"),
        ("PAS^X", "", b"PAS"),
        ("PAS", "^1.2.3^ISO", b"PAS"),
        ("PAS", '""', b"PAS"),
        ("", " ", b"unknown"),
        ("", "Spital Zürich", "Spital Zürich".encode()),
    ],
)
def test_it_is_the_facility_else_the_application_else_unknown(application, facility, key):
    head = rf"MSH|^~\&|{application}|{facility}|H|GH|2024||ADT^A01|C1|P|2.5"
    assert domain(Header(head.encode())) == key


def test_what_has_no_header_is_of_an_unknown_domain():
    assert domain(None) == b"unknown"


DOMAINS = {"GH": "trust", "Zürich": "trust", "LAB": "Süd", "unknown": "rest"}


@pytest.mark.parametrize(
    ("application", "facility", "key"),
    [
        (b"PAS", b"GH^1.2.3^ISO", "trust"),
        (b"GH", b"GN", "GN"),
        (b"LAB", b"", "Süd"),
        (b"PAS", "Zürich".encode(), "trust"),
        (b"PAS", "Zürich".encode("latin_1"), "trust"),
        (b"", b"", "rest"),
    ],
)
def test_facilities_that_share_an_index_have_one_domain_and_the_flow_agrees(
    application, facility, key
):
    raw = b"MSH|^~\\&|" + application + b"|" + facility + b"|H||2024||ADT^A01|C1|P|2.5"
    message = Message(raw)
    assert domain(message.header, DOMAINS) == key.encode()
    assert Reader(message, UTC, DOMAINS).domain() == key


@pytest.mark.parametrize("domains", [{}, {"LABA": "trust", "LABB": "trust"}])
def test_who_shares_a_domain_without_a_facility_keeps_the_own_numbers(domains):
    """Two laboratories with a patient 123 have two patients."""
    told = set()
    for sender in ("LABA", "LABB"):
        raw = rf"MSH|^~\&|{sender}||H||2024||ADT^A01|C1|P|2.5" + "\rPID|1||123"
        reader = Reader(message := Message(raw.encode()), UTC, domains)
        told.add((reader.domain(), reader.patient(message.one("PID"))))
    assert len(told) == 2
    wanted = {("trust", "123^^^LABA"), ("trust", "123^^^LABB")}
    assert told == (wanted if domains else {("LABA", "123"), ("LABB", "123")})


def test_a_name_with_subcomponents_has_one_domain_and_one_key():
    message = Message(rb"MSH|^~\&|PAS|GH&1.2.3&ISO|H||2024||ADT^A01|C1|P|2.5")
    assert domain(message.header) == b"GH"
    assert Reader(message, UTC).domain() == "GH"


@pytest.mark.parametrize(
    ("facility", "place", "domains", "wanted"),
    [
        ("GH", "ICU^1^A", {}, "ICU^1^A"),
        ("GH", "ICU^1^A^GN", {}, "ICU^1^A^GN"),
        ("GH", "ICU^1^A^GH", {}, "ICU^1^A"),
        ("GH", "ICU^1^A", {"GH": "trust"}, "ICU^1^A^GH"),
        ("GH", "ICU^1^A^GN", {"GH": "trust"}, "ICU^1^A^GN"),
        ("GN", "ICU^1^A", {"GN": "GH"}, "ICU^1^A^GN"),
        ("GN", "ICU^1^A^GH", {"GN": "GH"}, "ICU^1^A"),
        ("GH", "ICU^1^A", {"GN": "GH"}, "ICU^1^A"),
        ("GH", "ICU", {"GH": "trust"}, "ICU^^^GH"),
        ("GH", '""', {"GH": "trust"}, ""),
        ("GH", "^^^GN", {"GH": "trust"}, None),
    ],
)
def test_a_bed_of_a_shared_domain_names_its_facility(facility, place, domains, wanted):
    head = rf"MSH|^~\&|PAS|{facility}|H||2024||ADT^A01|C1|P|2.5"
    message = Message(f"{head}\rPV1|1|I|{place}".encode())
    assert Reader(message, UTC, domains).location(message.one("PV1"), 3) == wanted
