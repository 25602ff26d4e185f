"""Which tokens are taken, and what they give."""

from __future__ import annotations

import base64
import hmac
import time

import orjson
import pytest
from joserfc import jws
from joserfc.jwk import OKPKey, RSAKey

from connectors.web import tokens
from connectors.web.tokens import ANYONE, Refused, Tokens
from state.errors import SettingsError
from tests.connectors.web.keys import EC, ED, RSA, claims, jwks, token


@pytest.fixture
def verifier(tmp_path):
    return Tokens(jwks(tmp_path / "jwks.json", ED, EC, RSA), "headrace", "us")


def verify(verifier: Tokens, text: str):
    return verifier.verify(text, time.time())


def part(content: object) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(content)).rstrip(b"=").decode()


@pytest.mark.parametrize(("key", "alg"), [(ED, "EdDSA"), (EC, "ES256"), (RSA, "RS256")])
def test_a_good_token_gives_what_it_says(verifier, key, alg):
    text = token(key, alg, iss="us", scope="read:market.bars control", rows={"symbol": ["A", "B"]})
    access = verify(verifier, text)
    assert access.subject == "desk"
    assert access.rows == {"symbol": frozenset({"A", "B"})}
    assert access.may("control")
    assert not access.may("dead:read")
    assert access.may_read("market", "bars")
    assert not access.may_read("market", "nbbo")


def test_stars_stand_for_a_system_or_an_output(verifier):
    def may(scope: str) -> tuple[bool, bool]:
        access = verify(verifier, token(iss="us", scope=scope))
        return access.may_read("market", "bars"), access.may_read("trading", "state")

    assert may("read:*.*") == (True, True)
    assert may("read:market.*") == (True, False)
    assert may("read:*.state") == (False, True)
    assert may("*") == may("") == may("read:*") == (False, False)
    assert ANYONE.may("control")
    assert ANYONE.may_read("market", "bars")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"exp": None}, "no exp"),
        ({"exp": "tomorrow"}, "no exp"),
        ({"exp": 1}, "expired"),
        ({"exp": float("inf")}, "no exp"),
        ({"exp": float("nan")}, "no exp"),
        ({"exp": 10**400}, "no exp"),
        ({"nbf": 10**11}, "not valid yet"),
        ({"nbf": float("nan")}, "not valid yet"),
        ({"aud": None}, "audience"),
        ({"aud": "other"}, "audience"),
        ({"iss": None}, "issuer"),
        ({"iss": "them"}, "issuer"),
        ({"sub": 7}, "text"),
        ({"scope": ["read:*.*"]}, "text"),
        ({"rows": ["A"]}, "rows"),
        ({"rows": {"symbol": "A"}}, "rows"),
    ],
)
def test_claims_that_are_refused(verifier, changed, reason):
    with pytest.raises(Refused, match=reason):
        verify(verifier, token(**({"iss": "us"} | changed)))


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "at+jwt", "application/at+JWT"])
def test_what_a_token_may_say_that_it_is(verifier, typ):
    assert verify(verifier, token(iss="us", typ=typ)).subject == "desk"


@pytest.mark.parametrize("typ", ["", "logout+jwt", "dpop+jwt", "secevent+jwt", "JWS", "J\u017fWT"])
def test_what_is_signed_for_another_use_is_no_token(verifier, typ):
    with pytest.raises(Refused, match="typ"):
        verify(verifier, token(iss="us", typ=typ))


def test_algorithms_that_a_token_may_not_choose(verifier):
    none = f"{part({'alg': 'none'})}.{part(claims(iss='us'))}."
    # Key confusion: the public key, which everybody has, as the secret of an HMAC.
    for text in (RSA.as_pem(private=False), RSA.as_der(private=False)):
        signed = f"{part({'alg': 'HS256', 'kid': 'rsa'})}.{part(claims(iss='us'))}"
        mac = base64.urlsafe_b64encode(hmac.digest(text, signed.encode(), "sha256"))
        confused = f"{signed}.{mac.rstrip(b'=').decode()}"
        with pytest.raises(Refused, match="cannot be verified"):
            verify(verifier, confused)
    with pytest.raises(Refused, match="cannot be verified"):
        verify(verifier, none)
    with pytest.raises(Refused, match="cannot be verified"):
        verify(verifier, token(RSA, "RS512", iss="us"))


def test_what_is_not_signed_by_a_key_of_ours(verifier):
    stranger = OKPKey.generate_key("Ed25519", {"kid": "ed"})
    head, body, signature = token(iss="us").split(".")
    forged = f"{head}.{part(claims(iss='us', scope='control'))}.{signature}"
    texts = [token(stranger, iss="us"), forged, f"{head}.{body}.", f"{head}.{body}", "", "a.b.c"]
    for text in [*texts, "x" * 20_000, "\N{SNOWMAN}.é.a"]:
        with pytest.raises(Refused) as caught:
            verify(verifier, text)
        assert not text or text not in str(caught.value)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ('{"exp":' + "[" * 5000, "cannot be verified"),
        ('{"exp":9999999999,"aud":"headrace","iss":"us","sub":"\\ud800"}', "text"),
    ],
)
def test_payloads_that_no_library_of_ours_writes(verifier, payload, reason):
    head = {"alg": "EdDSA", "kid": "ed"}
    text = jws.serialize_compact(head, payload, ED, algorithms=["EdDSA"])
    with pytest.raises(Refused, match=reason):
        verify(verifier, text)


def test_keys_rotate_while_we_run(tmp_path, monkeypatch):
    monkeypatch.setattr(tokens, "LOOK_SECONDS", 0.0)
    path = jwks(tmp_path / "jwks.json", ED)
    verifier = Tokens(path, "headrace")
    verify(verifier, token(ED))
    jwks(path, EC)
    verify(verifier, token(EC, "ES256"))
    with pytest.raises(Refused):
        verify(verifier, token(ED))
    path.write_text('{"keys": [')
    verify(verifier, token(EC, "ES256"))
    path.unlink()
    verify(verifier, token(EC, "ES256"))
    jwks(tmp_path / "new.json", RSA).replace(path)
    verify(verifier, token(RSA, "RS256"))


def test_a_file_of_keys_that_cannot_be_used(tmp_path):
    path = tmp_path / "jwks.json"
    with pytest.raises(SettingsError, match="cannot read"):
        Tokens(path, "headrace")
    for text in ("", "{}", "[]", '{"keys":[{"kty":"what"}]}', '{"keys":[1]}'):
        path.write_text(text)
        with pytest.raises(SettingsError, match="no JSON Web Key Set"):
            Tokens(path, "headrace")
    path.write_bytes(orjson.dumps({"keys": [ED.as_dict(private=True)]}))
    with pytest.raises(SettingsError, match="secret key"):
        Tokens(path, "headrace")
    weak = RSAKey.generate_key(1024, {"kid": "weak"})
    with pytest.raises(SettingsError, match="2048 bits"):
        Tokens(jwks(path, ED, weak), "headrace")


def test_a_weak_key_is_not_rotated_in(tmp_path, monkeypatch):
    monkeypatch.setattr(tokens, "LOOK_SECONDS", 0.0)
    weak = RSAKey.generate_key(1024, {"kid": "weak"})
    path = jwks(tmp_path / "jwks.json", ED)
    verifier = Tokens(path, "headrace")
    jwks(path, weak)
    with pytest.raises(Refused):
        verify(verifier, token(weak, "RS256"))
    verify(verifier, token(ED))
