"""Configurations of librdkafka: what is fixed, what is free, what is secret."""

from __future__ import annotations

import logging

import pytest
from confluent_kafka import Consumer

from connectors.kafka.client import RESERVED, Cluster
from state.errors import SettingsError

SECRET = "a-secret-never-to-be-seen"


@pytest.mark.parametrize("option", sorted(RESERVED))
def test_an_option_that_guarantees_rest_on_cannot_be_set(option):
    with pytest.raises(SettingsError, match=option):
        Cluster("localhost:1", options={option: "x"})


def test_no_secret_is_in_the_repr():
    cluster = Cluster("b:1", sasl_password=SECRET, options={"ssl.key.password": SECRET})
    assert SECRET not in repr(cluster)


@pytest.mark.parametrize(
    "options",
    [
        {"ssl.key.pem": SECRET},
        {"security.providers": SECRET},
        {"fetch.wait.max.ms": SECRET},
        {"no.such.option": SECRET},
    ],
)
def test_an_option_that_is_refused_is_not_repeated(options):
    with pytest.raises(SettingsError) as error:
        Cluster("b:1", security_protocol="SSL", options=options).consumer("g")
    assert SECRET not in str(error.value)


def test_a_log_of_everything_holds_no_password(caplog):
    caplog.set_level(logging.DEBUG)
    cluster = Cluster(
        "127.0.0.1:1",
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
        sasl_username="user",
        sasl_password=SECRET,
        options={"debug": "all"},
    )
    consumer = cluster.consumer("g")
    consumer.poll(0.5)
    consumer.close()
    assert "sasl.mechanisms = PLAIN" in caplog.text
    assert SECRET not in caplog.text


def test_a_free_option_replaces_what_only_tunes():
    with pytest.raises(SettingsError, match=r"fetch\.min\.bytes"):
        Cluster("b:1", options={"fetch.min.bytes": "-7"}).consumer("g")
    assert isinstance(Cluster("b:1", options={"fetch.min.bytes": "7"}).consumer("g"), Consumer)
