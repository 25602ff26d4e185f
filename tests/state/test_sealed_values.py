"""Values of secret topics: what a producer seals, and who opens it."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from state.errors import CannotUnseal, DamagedSeal, NoKeys, UnknownKey
from state.sealed_values import MAGIC, ValueOpener, ValueSealer, is_sealed
from state.sealing import Keyring, Seal

KEYRING = Keyring.generate()
SEAL = Seal(KEYRING)
TOPIC = "adt.raw"
CANARY = b"MSH|^~\\&|A|B\rPID|1||CANARYPATIENT\r"


def sealed(value: bytes = CANARY, seal: Seal = SEAL, topic: str = TOPIC) -> bytes:
    return ValueSealer(seal, topic).seal(value)


def opened(value: bytes, seal: Seal | None = SEAL, topic: str = TOPIC) -> bytes:
    return ValueOpener(seal).open(topic, value)


@given(st.binary(min_size=1, max_size=300))
def test_what_is_sealed_opens_to_the_very_bytes(value: bytes) -> None:
    assert opened(sealed(value)) == value


def test_it_is_laid_out_as_its_page_says() -> None:
    value = sealed()
    assert CANARY not in value
    assert value.startswith(MAGIC)
    length = value[5]
    wrapped, nonce, rest = value[6 : 6 + length], value[6 + length :][:12], value[18 + length :]
    cipher = AESGCM(SEAL.open(wrapped, "message"))
    assert cipher.decrypt(nonce, rest, MAGIC + b"adt.raw") == CANARY
    assert len(value) == len(CANARY) + 101


def test_what_is_in_clear_stays_and_no_text_is_taken_for_sealed() -> None:
    for value in (b"", CANARY, b"{}", "Ü".encode(), MAGIC[:4]):
        assert opened(value, None) == value
        assert not is_sealed(value)
    with pytest.raises(UnicodeDecodeError):
        MAGIC.decode()


def test_what_is_empty_or_sealed_already_is_not_sealed() -> None:
    value = sealed()
    assert ValueSealer(SEAL, TOPIC).seal(value) == value
    assert ValueSealer(SEAL, TOPIC).seal(b"") == b""


def test_a_data_key_seals_so_many_values_and_no_nonce_twice() -> None:
    sealer, head = ValueSealer(SEAL, TOPIC, most=3), 6 + 67
    values = [sealer.seal(CANARY) for _ in range(7)]
    assert [len({value[:head] for value in values[:end]}) for end in (3, 6, 7)] == [1, 2, 3]
    assert len({value[head : head + 12] for value in values}) == 7
    opener = ValueOpener(SEAL)
    assert {opener.open(TOPIC, value) for value in values} == {CANARY}


@given(st.data())
def test_an_altered_byte_or_a_missing_end_is_seen(data: st.DataObject) -> None:
    value = sealed()
    place = data.draw(st.integers(len(MAGIC), len(value) - 1))
    other = value[:place] + bytes([value[place] ^ data.draw(st.integers(1, 255))])
    for broken in (other + value[place + 1 :], value[:place]):
        with pytest.raises(CannotUnseal) as caught:
            opened(broken)
        assert "CANARY" not in str(caught.value)


def test_a_value_of_another_topic_does_not_open() -> None:
    with pytest.raises(DamagedSeal, match=r"adt\.other"):
        opened(sealed(), topic="adt.other")


def test_a_rotated_keyring_opens_and_a_missing_key_is_named() -> None:
    rotated = KEYRING.rotated()
    assert opened(sealed(), Seal(rotated)) == CANARY
    with pytest.raises(UnknownKey, match="'k2'"):
        opened(sealed(seal=Seal(rotated)))
    with pytest.raises(DamagedSeal, match="another key of the same id"):
        opened(sealed(), Seal(Keyring.generate()))
    with pytest.raises(NoKeys, match=r"messages of adt\.raw"):
        opened(sealed(), None)


def test_what_others_forge_does_not_fill_the_memory() -> None:
    opener = ValueOpener(SEAL)
    for _ in range(3000):
        opener.open(TOPIC, sealed(b"x"))
    assert len(opener._ciphers) <= 1024  # nothing else tells
