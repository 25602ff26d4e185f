from __future__ import annotations

import base64
import hmac
import subprocess
import sys

import orjson
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from hypothesis import given
from hypothesis import strategies as st

from state.errors import DamagedSeal, SettingsError, UnknownKey
from state.outputs import Output, to_json
from state.records import Coordinates, DeadLetter, OutputBatch
from state.retraction import retraction
from state.sealing import Keyring, Seal, _Hmac, letter_purpose

VISITS = Output("adt", "visits", "recorded_ns", (), key=("visit",))
ALERTS = Output("adt", "alerts", "ts_ns", ())
LATE = Output("adt", "late", "ts_ns", (), by_coordinates=True)
KEYRING = Keyring({"k1": b"1" * 32, "k2": b"2" * 32}, "k2", b"i" * 32)
SEAL = Seal(KEYRING)

texts = st.text(max_size=40)
times = st.integers(-(2**63), 2**63 - 1)
records = st.dictionaries(texts, st.one_of(texts, st.booleans(), st.integers(0, 2**50)), max_size=5)


def sealed(seal=SEAL, output=VISITS, origin="3", counter=7, time_ns=1, identity="V1/2", key="V1",
           value=b'{"name":"Canary"}', retracted=False):  # fmt: skip
    return seal.envelope(
        output, origin, counter, time_ns, identity, key, value, retracted=retracted
    )


# RFC 8452, appendix C.2 (256-bit keys) and C.3 (the counter wraps): plaintext, associated, result.
RFC_KEY, RFC_NONCE = bytes([1]) + bytes(31), bytes([3]) + bytes(11)
RFC_8452 = [
    ("", "", "07f5f4169bbf55a8400cd47ea6fd400f"),
    ("0100000000000000", "", "c2ef328e5c71c83b843122130f7364b761e0b97427e3df28"),
    ("010000000000000000000000", "", "9aab2aeb3faa0a34aea8e2b18ca50da9ae6559e48fd10f6e5c9ca17e"),
    (
        "01000000000000000000000000000000",
        "",
        "85a01b63025ba19b7fd3ddfc033b3e76c9eac6fa700942702e90862383c6c366",
    ),
    ("0200000000000000", "01", "1de22967237a813291213f267e3b452f02d01ae33e4ec854"),
]


@pytest.mark.parametrize(("plain", "associated", "result"), RFC_8452)
def test_the_cipher_is_the_one_of_rfc_8452(plain, associated, result):
    cipher = Keyring({"k": RFC_KEY}, "k", bytes(32)).cipher("k")
    made = cipher.encrypt(RFC_NONCE, bytes.fromhex(plain), bytes.fromhex(associated))
    assert made.hex() == result


def test_the_cipher_wraps_its_counter_as_rfc_8452_does():
    plain = "000000000000000000000000000000004db923dc793ee6497c76dcc03a98e108"
    made = AESGCMSIV(bytes(32)).encrypt(bytes(12), bytes.fromhex(plain), b"")
    assert made.hex() == (
        "f3f80f2cf0cb2dd9c5984fcda908456cc537703b5ba70324a6793a7bf218d3ea"
        "ffffffff000000000000000000000000"
    )


@given(records, texts, texts, times, st.booleans())
def test_an_envelope_opens_to_the_very_bytes(record, identity, key, time_ns, retracted):
    value = to_json(record)
    envelope = sealed(time_ns=time_ns, identity=identity, key=key, value=value, retracted=retracted)
    assert SEAL.unseal(VISITS.topic, envelope) == value


def test_an_envelope_is_canonical_json_with_hashes_and_time_in_clear():
    envelope = sealed(time_ns=5)
    fields = orjson.loads(envelope)
    assert envelope == to_json(fields)
    assert fields.keys() == {"id", "key", "key_id", "sealed", "recorded_ns"}
    assert (fields["key_id"], fields["recorded_ns"]) == ("k2", 5)
    assert fields["id"] == SEAL.identity(VISITS, "V1/2")
    assert fields["key"] == SEAL.key(VISITS, "V1")
    assert "V1" not in {fields["id"], fields["key"]}


def test_a_retraction_says_in_clear_and_inside_that_it_is_one():
    value = to_json(retraction(VISITS, 9, "V1/3", "V1"))
    fields = orjson.loads(sealed(time_ns=9, value=value, retracted=True))
    assert fields["retracted"] is True
    found = orjson.loads(SEAL.unseal_fields(VISITS.topic, fields))
    assert found == {"id": "V1/3", "key": "V1", "retracted": True, "recorded_ns": 9}


@pytest.mark.parametrize("retracted", [False, True])
def test_no_byte_of_an_envelope_can_be_altered(retracted):
    envelope = sealed(retracted=retracted)
    for place in range(len(envelope)):
        for change in (1, 4, 128):
            altered = bytearray(envelope)
            altered[place] ^= change
            with pytest.raises((DamagedSeal, UnknownKey)):
                SEAL.unseal(VISITS.topic, bytes(altered))


@given(st.data())
def test_fields_cannot_be_added_taken_or_exchanged(data):
    one, other = (orjson.loads(sealed(identity=i, key=i, counter=n)) for n, i in enumerate("ab"))
    name = data.draw(st.sampled_from([*one, "retracted", "more"]))
    choices = {"taken": None, "other": other.get(name, True), "more": 1}
    kind = data.draw(st.sampled_from(sorted(choices)))
    altered = {k: v for k, v in one.items() if k != name}
    if kind != "taken":
        altered[name] = choices[kind]
    if altered != one:
        with pytest.raises((DamagedSeal, UnknownKey)):
            SEAL.unseal(VISITS.topic, to_json(altered))


def test_an_envelope_of_another_output_does_not_open():
    with pytest.raises(DamagedSeal, match=r"adt\.alerts"):
        SEAL.unseal("adt.alerts", sealed())


def test_the_same_coordinates_give_the_same_bytes_and_others_do_not():
    assert sealed() == sealed(Seal(KEYRING))
    others = [
        sealed(origin="4"), sealed(counter=8), sealed(output=ALERTS), sealed(time_ns=2),
        sealed(identity="V1/3"), sealed(key="V2"), sealed(value=b"{}"), sealed(retracted=True),
    ]  # fmt: skip
    secrets = {orjson.loads(each)["sealed"] for each in [sealed(), *others]}
    assert len(secrets) == len(others) + 1


@given(st.binary(max_size=100), st.binary(max_size=200))
def test_keyed_hashes_are_hmac(key, data):
    assert _Hmac(key).digest(data) == hmac.digest(key, data, "sha256")


def test_parts_of_a_nonce_do_not_run_into_each_other():
    # ("1", 23) and ("12", 3) would be one nonce if they were only joined.
    nonces = {
        base64.b64decode(orjson.loads(sealed(origin=origin, counter=counter))["sealed"])[:12]
        for origin, counter in (("1", 23), ("12", 3), ("1/2", 3), ("1", 3))
    }
    assert len(nonces) == 4


def test_hashes_are_stable_over_a_rotation_and_old_envelopes_still_open():
    old = Keyring.generate()
    new = old.rotated()
    assert (new.active, list(new.keys)) == ("k2", ["k1", "k2"])
    before, after = Seal(old), Seal(new)
    assert before.key(VISITS, "V1") == after.key(VISITS, "V1")
    assert before.identity(VISITS, "x") == after.identity(VISITS, "x")
    assert after.unseal(VISITS.topic, sealed(before)) == b'{"name":"Canary"}'
    with pytest.raises(UnknownKey, match="no key 'k2'"):
        before.unseal(VISITS.topic, sealed(after))


def test_a_key_of_the_same_id_and_other_bytes_is_told_from_nothing_else():
    ours, theirs = Seal(Keyring.generate()), Seal(Keyring.generate())
    with pytest.raises(DamagedSeal, match="another key of the same id"):
        theirs.unseal(VISITS.topic, sealed(ours))


def test_hashes_differ_by_output_and_between_ids_and_keys():
    hashes = {
        SEAL.key(VISITS, "V1"), SEAL.key(ALERTS, "V1"),
        SEAL.identity(VISITS, "V1"), SEAL.identity(ALERTS, "V1"),
    }  # fmt: skip
    assert len(hashes) == 4
    assert all(len(bytes.fromhex(each)) == 16 for each in hashes)


def test_no_key_stays_none_and_coordinates_stay_in_clear():
    assert SEAL.key(VISITS, "") == ""
    assert SEAL.identity(LATE, "adt.in/0/17/0") == "adt.in/0/17/0"


def test_a_batch_is_sealed_row_by_row_at_its_counters():
    values = [b'{"n":1}', to_json(retraction(VISITS, 2, "b", "B")), b'{"n":3}']
    batch = OutputBatch(
        "visits", "3", 7, [1, 2, 3], ["a", "b", "c"], ["A", "B", ""], values, 99, frozenset({1})
    )
    made = SEAL.batch(VISITS, batch)
    assert made.values == [
        sealed(counter=7 + row, time_ns=row + 1, identity="abc"[row], key=["A", "B", ""][row],
               value=values[row], retracted=row == 1)
        for row in range(3)
    ]  # fmt: skip
    assert made.ids == [orjson.loads(value)["id"] for value in made.values]
    assert made.keys == [orjson.loads(value)["key"] for value in made.values]
    assert (made.first, made.timestamp_ns, made.retracted) == (7, 99, frozenset({1}))


def test_cut_anywhere_a_batch_has_the_same_envelopes():
    whole = OutputBatch("visits", "0", 1, [1, 2], ["a", "b"], ["A", "B"], [b"1", b"2"])
    parts = [
        OutputBatch("visits", "0", 1, [1], ["a"], ["A"], [b"1"]),
        OutputBatch("visits", "0", 2, [2], ["b"], ["B"], [b"2"]),
    ]
    assert SEAL.batch(VISITS, whole).values == [SEAL.batch(VISITS, p).values[0] for p in parts]


@given(st.binary(max_size=200), texts)
def test_other_bytes_open_for_their_purpose_alone(data, purpose):
    made = SEAL.close(data, purpose)
    assert SEAL.open(made, purpose) == data
    assert made != SEAL.close(data, purpose), "the nonce is not random"
    with pytest.raises(DamagedSeal):
        SEAL.open(made, purpose + "x")


def test_no_byte_of_other_sealed_bytes_can_be_altered():
    made = SEAL.close(b"a snapshot", "snapshot")
    for place in range(len(made)):
        altered = bytearray(made)
        altered[place] ^= 1
        with pytest.raises((DamagedSeal, UnknownKey)):
            SEAL.open(bytes(altered), "snapshot")
    for size in range(len(made)):
        with pytest.raises((DamagedSeal, UnknownKey)):
            SEAL.open(made[:size], "snapshot")


def test_a_dead_letter_is_the_same_sealed_letter_in_every_run():
    letter = DeadLetter(Coordinates("adt.in", 0, 5), 9, b"MRN1", b"PID|Canary", "Malformed", "no")
    made = SEAL.letter("adt", letter)
    assert made == SEAL.letter("adt", letter)
    assert made.sealed
    assert (made.error, made.reason, made.coordinates) == ("Malformed", "no", letter.coordinates)
    assert made.key is not None
    assert SEAL.open(made.key, letter_purpose("adt")) == b"MRN1"
    assert SEAL.open(made.value, letter_purpose("adt")) == b"PID|Canary"
    assert b"Canary" not in made.value
    assert b"MRN1" not in made.key


def test_a_key_file_reads_as_it_was_written():
    made = Keyring.generate().rotated()
    assert Keyring.parse(made.text()) == made


def test_nothing_shows_a_key():
    made = Keyring.generate()
    assert all(secret not in repr(made) for secret in made.secrets())
    assert len(made.secrets()) == 2


GOOD = KEYRING.text()
KEY = base64.b64encode(b"1" * 32).decode()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("active = ", "is no TOML"),
        ("", "needs active"),
        (GOOD + "\n[more]\n", "nothing else"),
        (GOOD.replace('active = "k2"', 'active = "k3"'), "active key that is not among"),
        (GOOD.replace('active = "k2"', "active = 2"), "active key that is not among"),
        (GOOD.replace(KEY, KEY[:-5]), r"32 bytes in base64 at keys\.k1"),
        (GOOD.replace(KEY, base64.b64encode(b"1" * 16).decode()), "32 bytes"),
        (GOOD.replace(f'k1 = "{KEY}"', "k1 = 1"), "32 bytes"),
        (GOOD.replace(KEY, base64.b64encode(b"2" * 32).decode()), "one key twice"),
        (GOOD.replace("k1 =", '"k 1" ='), "key id"),
    ],
)
def test_a_bad_key_file_is_refused_without_showing_it(text, reason):
    with pytest.raises(SettingsError, match=reason) as caught:
        Keyring.parse(text)
    assert all(secret not in str(caught.value) for secret in (*KEYRING.secrets(), KEY[:8]))


def test_errors_of_sealing_pickle_and_show_no_content():
    envelope = sealed(value=b'{"name":"Canary"}')
    with pytest.raises(DamagedSeal) as caught:
        SEAL.unseal(VISITS.topic, envelope.replace(b'"sealed":"', b'"sealed":"A'))
    assert "Canary" not in str(caught.value)
    import pickle

    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_cryptography_is_imported_only_to_seal():
    code = (
        "import sys; from state.sealing import Keyring, Seal; k = Keyring.generate();"
        "Seal(k); assert 'cryptography' not in sys.modules;"
        "Seal(k).close(b'', ''); assert 'cryptography' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
