"""A sequence is read once, and what is none stays as it was sent."""

from __future__ import annotations

import time

import pytest

from connectors.hl7.delimiters import declared
from connectors.hl7.escapes import unescape

USUAL = declared(b"|", b"^~\\&")


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (r"\F\\S\\T\\R\\E\\P\ ", "|^&~\\# "),
        (r"\E\T\E\ ", r"\T\ "),
        (r"\E\\T\ ", "\\& "),
        (r"\X41\ \X4142\ \X0D0A\ \X00D\ ", "A AB \r\n \r "),
        (r"\X\ \XG\ ", r"\X\ \XG\ "),
        (r"a\.br\b\.sp\c\.sp+2\d\.ce\e", "a\nb\nc\n\nd\ne"),
        (r"a\.sk3\b\.ti+2\c\.in+4\d\.fi\e\.nf\f\.sk 1\g", "a   b  cdef g"),
        (r"\H\bold\N\ ", "bold "),
        (r"\Zab\ \Z\ ", r"\Zab\ \Z\ "),
        (r"\Q\ \f\ ", r"\Q\ \f\ "),
        (r"C:\temp\T\x", r"C:\temp&x"),
        (r"open \end", r"open \end"),
        ("\\", "\\"),
    ],
)
def test_sequences(sent, read):
    assert unescape(sent, USUAL, "utf_8") == read


def test_bytes_are_of_the_message_s_character_set():
    assert unescape(r"\XC398\ ", USUAL, "utf_8") == "Ø "
    assert unescape(r"\XD8\ ", USUAL, "cp1252") == "Ø "
    assert unescape(r"\XD8\ ", USUAL, "utf_8") == "Ø ", "no UTF-8, so Latin-1"


def test_shifts_to_another_character_set():
    """JIS X 0208 behind M2442, back to ASCII behind C2842 (HL7 v2.9, 2.7.2)."""
    assert unescape(r"a\M2442\;3ED\C2842\b", USUAL, "ascii") == "a山田b"


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (r"a\M2442\é\C2842\b", r"a\M2442\éb"),
        (r"é\T\x\C2842\y", "é&xy"),
        (r"a\T\x\C9999\y", r"a&x\C9999\y"),
        (r"a\C0000\y", r"a\C0000\y"),
        (r"\M2442\;3\C1234\x", r"山\C1234\x"),
    ],
)
def test_a_shift_that_nothing_follows_stays_alone(sent, read):
    assert unescape(sent, USUAL, "utf_8") == read


def test_without_an_escape_character_nothing_is_a_sequence():
    assert unescape(r"\T\ ", declared(b"|", b"^~&"), "utf_8") == r"\T\ "
    assert unescape(r"?T?\T\ ", declared(b"|", b"^~?&"), "utf_8") == r"&\T\ "


def test_a_long_text_of_backslashes_is_read_in_one_pass():
    texts = ["\\" * 1_000_000, r"\X" + "A" * 1_000_000, r"\Z" * 500_000, "\\.br" + " " * 1_000_000]
    started = time.process_time()
    for text in texts:
        assert unescape(text, USUAL, "utf_8")
    assert time.process_time() - started < 20
