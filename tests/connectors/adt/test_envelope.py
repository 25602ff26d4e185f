"""The key of a message is what it may ever be merged within."""

from __future__ import annotations

import pytest

from connectors.adt.envelope import domain
from connectors.hl7.header import Header


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
