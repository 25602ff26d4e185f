"""TLS, and TLS of both sides."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from connectors.mllp.listener import client_context, server_context
from state.errors import Misuse
from tests.connectors.mllp.certificates import Authority, Pair
from tests.connectors.mllp.rig import Ack, Rig, listening, message


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path, "ours")


def paths(pair: Pair, ca: Pair | None = None) -> dict[str, str]:
    """Return the listener's settings."""
    found = {"tls_certificate": str(pair.certificate), "tls_key": str(pair.key)}
    return found | ({"tls_ca": str(ca.certificate)} if ca else {})


def trusting(ca: Pair, own: Pair | None = None) -> ssl.SSLContext:
    made = (
        client_context(own.certificate, own.key, ca.certificate)
        if own
        else client_context(None, None, ca.certificate)
    )
    assert made is not None
    return made


def test_messages_travel_over_tls(kafka, topic, authority):
    server = authority.issue("server")
    with listening(kafka.bootstrap, topic(), **paths(server)) as rig:
        client = rig.client(trusting(authority.pair))
        assert isinstance(client.sock, ssl.SSLSocket)
        assert client.sock.version() in ("TLSv1.2", "TLSv1.3")
        names = [f"C{number}" for number in range(100)]
        client.send(*map(message, names))
        assert [client.ack() for _ in names] == [Ack("AA", name) for name in names]
        plain = rig.client()
        plain.send(message("C1"))
        assert plain.is_closed()
        assert len(rig.stored()) == 100


def test_a_client_needs_a_certificate_that_the_authority_vouches_for(
    kafka, topic, authority, tmp_path
):
    server, known = authority.issue("server"), authority.issue("known")
    stranger = Authority(tmp_path, "theirs").issue("stranger")
    with listening(kafka.bootstrap, topic(), **paths(server, authority.pair)) as rig:
        client = rig.client(trusting(authority.pair, known))
        client.send(message("C1"))
        assert client.ack() == Ack("AA", "C1")
        assert is_refused(rig, trusting(authority.pair))
        assert is_refused(rig, trusting(authority.pair, stranger))
        assert rig.stored() == [message("C1")]


def is_refused(rig: Rig, tls: ssl.SSLContext) -> bool:
    """Return whether a client is turned away; in TLS 1.3 it learns that when it reads first."""
    try:
        client = rig.client(tls)
        client.send(message("C2"))
        return client.sock.recv(1) == b""
    except (ssl.SSLError, ConnectionError):
        return True


def test_handshakes_that_failed_take_no_place(kafka, topic, authority):
    server = authority.issue("server")
    with listening(kafka.bootstrap, topic(), max_connections="1", **paths(server)) as rig:
        for _ in range(3):
            plain = rig.client()
            plain.send(message("C1"))
            assert plain.is_closed()
        client = rig.client(trusting(authority.pair))
        client.send(message("C1"))
        assert client.ack() == Ack("AA", "C1")


def test_settings_that_cannot_be_used_say_which(authority, tmp_path):
    pair = authority.issue("server")
    assert server_context(None, None, None) is None
    assert client_context(None, None, None) is None
    with pytest.raises(Misuse, match="set both"):
        server_context(pair.certificate, None, None)
    with pytest.raises(Misuse, match="set both"):
        server_context(None, None, pair.certificate)
    with pytest.raises(Misuse, match="set both"):
        client_context(pair.certificate, None, None)
    with pytest.raises(Misuse, match="cannot be used"):
        server_context(pair.certificate, Path(tmp_path / "missing"), None)
