"""Configurations of librdkafka: what is fixed, what is free, what is secret."""

from __future__ import annotations

import logging
import subprocess
import sys

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


LOGS_ALL = {"debug": "all", "reconnect.backoff.ms": "60000", "reconnect.backoff.max.ms": "60000"}
"""It tries to connect once. Each further try logs dozens of lines, and a poll that hands over lines
more slowly than they come, as on a busy machine, does not end."""


def test_a_log_of_everything_holds_no_password(caplog):
    caplog.set_level(logging.DEBUG)
    cluster = Cluster(
        "127.0.0.1:1",
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
        sasl_username="user",
        sasl_password=SECRET,
        options=LOGS_ALL,
    )
    consumer = cluster.consumer("g")
    consumer.poll(0.5)
    consumer.close()
    assert "sasl.mechanisms = PLAIN" in caplog.text
    assert SECRET not in caplog.text


def told_by(set_up: str) -> str:
    """What a process writes whose client cannot reach its broker and logs all that it does."""
    talk = (
        "from connectors.kafka.client import Cluster\n"
        f"consumer = Cluster('127.0.0.1:1', options={LOGS_ALL}).consumer('g')\n"
        "consumer.poll(1.0)\n"
        "consumer.close()\n"
    )
    command = [sys.executable, "-c", set_up + talk]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def test_a_command_that_sets_up_no_logging_prints_no_line_of_the_library():
    told = told_by("")
    assert "Kafka: " in told  # our own warning is seen
    assert "thrd:" not in told


def test_lines_of_the_library_reach_the_log():
    told = told_by("import logging\nlogging.basicConfig(level=logging.DEBUG)\n")
    assert "DEBUG:librdkafka:" in told
    assert "thrd:" in told


def test_a_free_option_replaces_what_only_tunes():
    with pytest.raises(SettingsError, match=r"fetch\.min\.bytes"):
        Cluster("b:1", options={"fetch.min.bytes": "-7"}).consumer("g")
    assert isinstance(Cluster("b:1", options={"fetch.min.bytes": "7"}).consumer("g"), Consumer)
