"""What was sealed with a former key, sealed anew: as the new key would have done it itself."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.errors import DamagedSeal, UnknownKey
from state.outputs import Output
from state.records import Coordinates, DeadLetter
from state.sealed_values import ValueSealer, key_of
from state.sealing import Keyring, Seal, closing_key

VISITS = Output("adt", "visits", "recorded_ns", (), key=("visit",))
OLD = Keyring.generate()
NEW = OLD.rotated()
ONLY_NEW = Keyring({"k2": NEW.keys["k2"]}, "k2", NEW.index)


def envelope(keyring: Keyring, *, retracted: bool = False, value: bytes = b'{"a":1}') -> bytes:
    seal = Seal(keyring)
    return seal.envelope(VISITS, "3", 7, 5, "V1|1", "V1", value, retracted=retracted)


@pytest.mark.parametrize("retracted", [True, False])
def test_an_envelope_is_what_the_new_key_would_have_sealed(retracted: bool) -> None:
    old = orjson.loads(envelope(OLD, retracted=retracted))
    anew = Seal(NEW).reseal(VISITS.topic, old)
    assert anew == envelope(NEW, retracted=retracted)
    assert Seal(ONLY_NEW).unseal(VISITS.topic, anew) == b'{"a":1}'


@given(st.binary(max_size=100))
def test_closed_bytes_keep_their_nonce_and_open_with_the_new_key(data: bytes) -> None:
    anew = Seal(NEW).reclose(Seal(OLD).close(data, "p", b"n" * 12), "p")
    assert anew == Seal(NEW).close(data, "p", b"n" * 12)
    assert Seal(ONLY_NEW).open(anew, "p") == data


def test_what_does_not_open_is_not_sealed_anew() -> None:
    old = orjson.loads(envelope(OLD))
    with pytest.raises(UnknownKey):
        Seal(ONLY_NEW).reseal(VISITS.topic, old)
    with pytest.raises(DamagedSeal):
        Seal(NEW).reseal("adt.other", old)
    with pytest.raises(DamagedSeal):
        Seal(NEW).reclose(Seal(OLD).close(b"x", "p"), "q")


def test_every_form_tells_its_key() -> None:
    seal = Seal(NEW)
    letter = seal.letter("adt", DeadLetter(Coordinates("t", 0, 1), 0, b"k", b"v", "E", "r"))
    sealed = ValueSealer(seal, "adt.raw").seal(b"MSH")
    for value in (envelope(NEW), letter.value, letter.key or b"", sealed):
        assert key_of(value) == "k2"
    for value in (b"", b"MSH|", b"{}", b'{"key_id":"k2"}', b'{"key_id"', b"hrs1", sealed[:8]):
        assert key_of(value) == ""
    assert closing_key(letter.value) == "k2"
