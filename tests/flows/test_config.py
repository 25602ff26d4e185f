from __future__ import annotations

import re
from pathlib import Path

import orjson
import pytest

from flows.__main__ import main
from flows.adt.settings import Adt
from flows.config import duration_text, load, secrets
from flows.market.settings import Market
from flows.settings.part import duration_ns
from flows.settings.settings import whole
from state.errors import SettingsError
from state.sealing import Keyring
from tests.flows.runs import ROOT

TOML = """\
[kafka]
shards = 2
bootstrap = "broker:9092"

[market.risk]
lambda = 0.9
interval = "1s"

[market.portfolios]
tech = { AAPL = 0.5, MSFT = 0.5 }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "headrace.toml"
    path.write_text(TOML)
    return path


def origins(path: Path | None, environ: dict[str, str]) -> dict[str, tuple[object, str]]:
    return {s.name: (s.value, s.origin) for s in load(path, environ).listing()}


def test_every_setting_says_where_it_came_from(file):
    found = origins(file, {"HEADRACE_KAFKA__SHARDS": "3"})
    assert found["kafka.shards"] == (3, "HEADRACE_KAFKA__SHARDS")
    assert found["kafka.bootstrap"] == ("broker:9092", f"{file}:3")
    assert found["market.risk.lambda"] == (0.9, f"{file}:6")
    assert found["market.portfolios"] == ({"tech": {"AAPL": 0.5, "MSFT": 0.5}}, f"{file}:9")
    assert found["run.epoch"] == ("1s", "default")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(
    "table",
    ["market.portfolios.p", "market.risk.scenarios.s.shocks", "market.risk.scenarios.s.gamma"],
)
def test_a_number_that_is_none_is_refused(tmp_path, table, value):
    path = tmp_path / "headrace.toml"
    path.write_text(f"[market.risk.scenarios.s]\nother = -0.1\n[{table}]\nA = {value}\n")
    with pytest.raises(SettingsError, match="finite number"):
        load(path, {})


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ('market]\nintervals = ["0s"]\n[market.risk]\ninterval = "0s"', "greater than 0"),
        ('market]\nintervals = ["0s", "1m"]', "greater than 0"),
        ('market.signals]\nkinds = ["realised-variance"]\ngrid = "0s"', "greater than 0"),
        ('market.signals]\nkinds = ["hawkes"]\ninterval = "0s"', "greater than 0"),
        ('market]\nintervals = ["1s", "1m", "60s"]', "named twice"),
        ("market.risk]\nconfidences = [0.95, 0.99, 0.95]", "named twice"),
        ("market.risk]\nhorizons = [1, 1]", "named twice"),
        ('market.risk]\nmethods = ["monte-carlo-t", "monte-carlo-t"]', "named twice"),
    ],
)
def test_an_interval_of_nothing_or_records_twice_are_refused(tmp_path, lines, reason):
    path = tmp_path / "headrace.toml"
    path.write_text(f"[{lines}\n")
    with pytest.raises(SettingsError, match=reason):
        load(path, {})


def test_without_any_source_the_defaults_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the checkout may have a key file
    defaults = {name: info.default for name, info in whole().model_fields.items()}
    assert dict(load(None, {}).settings) == defaults
    assert {origin for _, origin in origins(None, {}).values()} == {"default"}


def test_the_file_is_named_by_a_variable_too(file):
    assert load(None, {"HEADRACE_CONFIG": str(file)}).settings.kafka.shards == 2


def test_tuples_and_tables_in_variables_are_json():
    environ = {
        "HEADRACE_MARKET__INTERVALS": '["250ms", "1m"]',
        "HEADRACE_MARKET__PORTFOLIOS": '{"p": {"A": 1}}',
    }
    market = load(None, environ).settings.of(Market)
    assert market.intervals == (250_000_000, 60_000_000_000)
    assert market.portfolios == {"p": {"A": 1.0}}


def test_a_secret_comes_from_a_file_that_a_variable_names(tmp_path):
    secret = tmp_path / "url"
    secret.write_text("redis://:hunter2@host/0\n")
    loaded = load(None, {"HEADRACE_REDIS__URL_FILE": str(secret)})
    assert loaded.settings.redis.url.get_secret_value() == "redis://:hunter2@host/0"
    masked = {s.name: s for s in loaded.listing()}["redis.url"]
    assert (masked.value, masked.origin) == ("********", "HEADRACE_REDIS__URL_FILE")


def test_secrets_name_the_password_inside_a_url():
    settings = load(
        None,
        {
            "HEADRACE_REDIS__URL": "redis://me:hunter2@host/0",
            "HEADRACE_KAFKA__SASL_PASSWORD": "swordfish",
            "HEADRACE_KAFKA__OPTIONS": '{"ssl.key.password": "sesame", "client.rack": "r1"}',
        },
    ).settings
    assert {"hunter2", "swordfish", "sesame"} <= set(secrets(settings))
    assert "r1" not in secrets(settings)


def test_a_key_file_is_read_and_no_key_of_it_may_be_printed(tmp_path):
    made = Keyring.generate()
    (tmp_path / "keys.toml").write_text(made.text())
    loaded = load(None, {"HEADRACE_SEALING__KEYS_FILE": str(tmp_path / "keys.toml")})
    assert loaded.settings.sealing.keyring() == made
    assert set(made.secrets()) <= set(secrets(loaded.settings))
    assert {s.name: s for s in loaded.listing()}["sealing.keys"].value == "********"


def test_a_bad_key_file_is_refused_without_showing_it():
    text = Keyring.generate().text().replace("k1 =", "k1")
    with pytest.raises(SettingsError, match=r"sealing\.keys .*no TOML") as caught:
        load(None, {"HEADRACE_SEALING__KEYS": text})
    assert not any(len(word) > 30 and word in str(caught.value) for word in text.split('"'))


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"HEADRACE_RUN__WORKERS": "99"}, ["run.workers (HEADRACE_RUN__WORKERS)", "8"]),
        ({"HEADRACE_RUN__EPOCH": "soon"}, ["run.epoch", "'soon' is no duration"]),
        ({"HEADRACE_KAFKA_BOOTSTRAP": "h"}, ["write HEADRACE_KAFKA__BOOTSTRAP"]),
        ({"HEADRACE_KAFKA__BOOTSRAP": "h"}, ["HEADRACE_KAFKA__BOOTSRAP is unknown"]),
        ({"HEADRACE_KAFKA__SHARDS_FILE": "x"}, ["HEADRACE_KAFKA__SHARDS_FILE is unknown"]),
        ({"HEADRACE_MARKET__INTERVALS": "1s"}, ["HEADRACE_MARKET__INTERVALS must be JSON"]),
        ({"HEADRACE_REDIS__URL_FILE": "/no/such"}, ["HEADRACE_REDIS__URL_FILE", "/no/such"]),
        ({"HEADRACE_REDIS__URL_FILE": "/x", "HEADRACE_REDIS__URL": "y"}, ["both set"]),
        ({"HEADRACE_CONFIG": "/no/such"}, ["cannot read the settings file /no/such"]),
    ],
)
def test_an_error_names_the_key_and_the_fix(environ, words):
    with pytest.raises(SettingsError) as caught:
        load(None, environ)
    assert all(word in str(caught.value) for word in words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('[redis]\nurl = "redis://:hunter2@h/0"', ["redis.url", ":2", "HEADRACE_REDIS__URL_FILE"]),
        ('[kafka.options]\n"ssl.key.password" = "hunter2"', ["ssl.key.password", "secret"]),
        ("[kafka]\nshards = 0", ["kafka.shards", ":2", "greater than or equal to 1"]),
        ("[kafka]\nshard = 4", ["kafka.shard (", ":2", "unknown"]),
        ("[kafka\n", ["is no TOML", "line 1"]),
        ("kafka = 4", ["kafka"]),
        (
            '[market.targets.P]\nobjective = "hrp"\nmarket_weights = { A = 1.0 }',
            ["market.targets.P", "of black-litterman alone"],
        ),
        (
            '[market.targets.P]\nobjective = "black-litterman"\nmarket_weights = { A = -1.0 }',
            ["market.targets.P.market_weights.A", "greater than or equal to 0"],
        ),
    ],
)
def test_an_error_in_the_file_names_the_line(tmp_path, toml, words):
    path = tmp_path / "bad.toml"
    path.write_text(toml)
    with pytest.raises(SettingsError) as caught:
        load(path, {})
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_durations_read_back():
    for ns in (0, 1_000, 250_000_000, 1_000_000_000, 90_000_000_000, 86_400_000_000_000):
        assert duration_ns(duration_text(ns)) == ns


def test_the_command_shows_no_secret(file, monkeypatch, capsys):
    monkeypatch.setenv("HEADRACE_REDIS__URL", "redis://:hunter2@host/0")
    assert main(["config", "market", "--config", str(file)]) == 0
    shown = capsys.readouterr().out
    assert f'kafka.bootstrap = "broker:9092"  ({file}:3)' in shown
    assert 'redis.url = "********"  (HEADRACE_REDIS__URL)' in shown
    assert "hunter2" not in shown
    assert main(["config", "market", "--json"]) == 0
    rows = orjson.loads(capsys.readouterr().out)
    assert {"name": "kafka.shards", "value": 4, "origin": "default"} in rows


def test_the_file_on_the_page_about_running_is_right(tmp_path):
    page = (ROOT / "docs/running.md").read_text()
    (block,) = re.findall(r"```toml title=headrace.toml\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "headrace.toml"
    path.write_text(block)
    loaded = load(path, {})
    assert loaded.settings.of(Market).portfolios == {"tech": {"AAPL": 0.6, "MSFT": 0.4}}
    assert loaded.origins["run", "workers"] == f"{path}:9"


@pytest.mark.parametrize(
    ("domains", "says"),
    [
        ('{"GH": ""}', "no name of a domain"),
        ('{"GH": "a|b"}', "no name of a domain"),
        (orjson.dumps({"GH": "x" * 81}).decode(), "80 bytes"),
        ('{"GH": "GN", "GN": "trust"}', "part of another one"),
    ],
)
def test_domains_that_are_none_are_refused(domains, says):
    with pytest.raises(SettingsError, match=says):
        load(None, {"HEADRACE_ADT__DOMAINS": domains})
    [found] = load(None, {"HEADRACE_ADT__DOMAINS": '{"GN": "GH"}'}).settings.of(Adt).domains.items()
    assert found == ("GN", "GH")
