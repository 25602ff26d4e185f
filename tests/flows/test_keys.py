"""`headrace keys`, and dead letters that are sealed."""

from __future__ import annotations

import re
import uuid
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import orjson
import pytest

from connectors.kafka.client import Cluster
from connectors.kafka.delivery import Delivery
from connectors.kafka.sink import DeadLetterSink
from flows.__main__ import main
from flows.config import load
from flows.feed.letters import Letters
from replay.export import export_dead
from replay.files import OutputFiles
from state.errors import NoKeys, SettingsError
from state.lifecycle import Lifecycle
from state.outputs import to_json
from state.records import Coordinates, DeadLetter
from state.sealed_values import ValueOpener, is_sealed
from state.sealing import Keyring, Seal
from tests.conftest import create_topic
from tests.connectors.web.rest.rig import expect_problem, serving, settings
from tests.contracts.sinks import PLAIN, Step, batches
from tests.flows.test_commands import messages


@pytest.fixture
def keys(tmp_path, monkeypatch) -> Path:
    """A key file that the settings name."""
    path: Path = tmp_path / "keys.toml"
    assert main(["keys", "new", str(path)]) == 0
    monkeypatch.setenv("HEADRACE_SEALING__KEYS_FILE", str(path))
    return path


def keyring(path: Path) -> Keyring:
    return Keyring.parse(path.read_text())


def test_a_new_key_file_is_its_owners_alone_and_is_not_written_over(keys, capsys):
    assert keys.stat().st_mode & 0o777 == 0o600
    before = keys.read_bytes()
    assert main(["keys", "new", str(keys)]) == 2
    assert "rotate" in capsys.readouterr().err
    assert keys.read_bytes() == before


def test_the_key_file_of_all_commands_is_made_once_for_its_owner_alone(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADRACE_KEY_FILE")
    path = Path(".headrace/keys/adt.key")
    assert main(["keys", "list"]) == 2
    assert main(["keys", "init"]) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["adt.key"]
    before = path.read_bytes()
    assert main(["keys", "init"]) == 2
    assert "headrace keys rotate .headrace/keys/adt.key" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert main(["keys", "list"]) == 0
    assert capsys.readouterr().out == "k1  active\n"
    assert len(keyring(path).keys["k1"]) == 32


def test_a_variable_names_the_key_file_and_settings_count_before_it(keys, tmp_path, monkeypatch):
    other = tmp_path / "more" / "other.key"
    monkeypatch.setenv("HEADRACE_KEY_FILE", str(other))
    assert main(["keys", "init"]) == 0
    assert load().settings.sealing.keyring() == keyring(keys)
    monkeypatch.delenv("HEADRACE_SEALING__KEYS_FILE")
    assert load().settings.sealing.keyring() == keyring(other)
    assert load().origins["sealing", "keys"] == str(other)
    other.write_text("active = 1")
    with pytest.raises(SettingsError, match=r"other\.key"):
        load()


def test_a_rotation_keeps_the_old_keys_and_the_mode(keys, capsys):
    old = keyring(keys)
    assert main(["keys", "rotate", str(keys)]) == 0
    new = keyring(keys)
    assert keys.stat().st_mode & 0o777 == 0o600
    assert (new.active, new.index, new.keys["k1"]) == ("k2", old.index, old.keys["k1"])
    capsys.readouterr()
    assert main(["keys", "list"]) == 0
    assert main(["keys", "list", str(keys)]) == 0
    out = capsys.readouterr().out
    assert out == 2 * "k1\nk2  active\n"


def test_no_command_prints_a_key(keys, tmp_path, capsys):
    for words in (["list"], ["rotate", str(keys)], ["new", str(tmp_path / "more")], ["open"]):
        main(["keys", *words])
    main(["config", "market"])
    told = "".join(capsys.readouterr())
    assert not any(secret in told for secret in keyring(keys).secrets())


def test_a_rotation_that_was_cut_off_is_seen(keys, capsys):
    keys.with_name("keys.toml.draft").write_text("half")
    before = keys.read_bytes()
    assert main(["keys", "rotate", str(keys)]) == 2
    assert "keys.toml.draft" in capsys.readouterr().err
    assert keys.read_bytes() == before


@pytest.mark.parametrize("action", ["new", "rotate", "open"])
def test_a_file_is_needed(action, capsys):
    assert main(["keys", action]) == 2
    assert "needs a FILE" in capsys.readouterr().err


def test_a_sealed_file_opens_to_the_plain_lines(keys, tmp_path, capsys):
    sequence = [Step("a", False), Step("c", False), Step("a", True)]
    plain, sealed = (
        OutputFiles(tmp_path / "p", (PLAIN,), 9),
        OutputFiles(tmp_path / "s", (PLAIN,), 9),
    )
    seal = Seal(keyring(keys))
    main(["keys", "rotate", str(keys)])  # what was sealed before still opens
    for batch in batches(sequence, [1]):
        plain.add(batch)
        sealed.add(seal.batch(PLAIN, batch))
    plain.write()
    sealed.write()
    capsys.readouterr()
    for name in ("beds.jsonl", "tables/beds.jsonl"):
        assert b"Canary" not in (tmp_path / "s" / name).read_bytes()
        assert main(["keys", "open", str(tmp_path / "s" / name), "--output", "wards.beds"]) == 0
        assert capsys.readouterr().out.encode() == (tmp_path / "p" / name).read_bytes()


def test_a_file_that_is_named_like_a_secret_output_holds_it(keys, tmp_path, capsys, monkeypatch):
    secret = replace(PLAIN, secret=True)
    monkeypatch.setattr("replay.commands.keys.declared_outputs", lambda: (secret,))
    batch = batches([Step("a", False)], [])[0]
    path = tmp_path / "beds.jsonl"
    path.write_bytes(Seal(keyring(keys)).batch(PLAIN, batch).values[0] + b"\n")
    capsys.readouterr()
    assert main(["keys", "open", str(path)]) == 0
    assert capsys.readouterr().out.encode() == batch.values[0] + b"\n"


def test_what_does_not_open_is_named_by_its_line(keys, tmp_path, capsys):
    seal = Seal(keyring(keys))
    (line,) = seal.batch(PLAIN, batches([Step("a", False)], [])[0]).values
    path = tmp_path / "some.jsonl"
    for content, reason in (
        (line + b"\n{}\n", "line 2 of .*: is not sealed"),
        (line.replace(b'"ts_ns":0', b'"ts_ns":1'), "line 1 of .*: sealed data of wards.beds"),
        (line.replace(b'"k1"', b'"k7"'), "line 1 of .*: the keyring has no key 'k7'"),
        (b"no JSON\n", "line 1"),
    ):
        path.write_bytes(content)
        assert main(["keys", "open", str(path), "--output", "wards.beds"]) == 2
        err = capsys.readouterr().err
        assert re.search(reason, err), err
    assert main(["keys", "open", str(path)]) == 2
    assert "--output" in capsys.readouterr().err


def test_without_keys_nothing_opens(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("HEADRACE_SEALING__KEYS_FILE", raising=False)
    assert main(["keys", "open", str(tmp_path / "x"), "--output", "a.b"]) == 2
    assert "HEADRACE_SEALING__KEYS_FILE" in capsys.readouterr().err


@pytest.fixture
def letters(kafka, topic, keys, monkeypatch):
    """(system, input topic) with a sealed letter, written twice, and one too large to keep."""
    system, source = f"s{uuid.uuid4().hex[:8]}", topic()
    dead = f"{system}.dead"
    create_topic(kafka, dead, 1)
    delivery = Delivery(Cluster(kafka.bootstrap), Lifecycle())
    part = DeadLetterSink(delivery, dead, ["0"], ["0"], max_bytes=100).build_part("d", "0", None)
    first = DeadLetter(Coordinates(source, 0, 7), 5_000_000, b"MRN1", b"Canary", "NoKey", "r")
    large = DeadLetter(Coordinates(source, 0, 9), 7_000_000, b"MRN2", b"x" * 200, "NoKey", "r")
    seal = Seal(keyring(keys))
    part.write_batch([seal.letter(system, each) for each in (first, large, first)])
    part.snapshot()
    monkeypatch.setenv("HEADRACE_KAFKA__BOOTSTRAP", kafka.bootstrap)
    return system, source


def test_sealed_letters_are_listed_by_anyone_and_shown_with_the_keys(letters, monkeypatch, capsys):
    system, _ = letters
    assert main(["dead", "show", system, "--json"]) == 0
    rows = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["key"], row["value"]) for row in rows] == [("MRN1", "Canary"), ("MRN2", None)]
    assert rows[0]["length"] == 6
    monkeypatch.delenv("HEADRACE_SEALING__KEYS_FILE")
    assert main(["dead", "list", system]) == 0
    assert "2 dead letters" in capsys.readouterr().out
    for action in ("show", "retry"):
        assert main(["dead", action, system, "--all"]) == 1
        captured = capsys.readouterr()
        assert "sealed: set HEADRACE_SEALING__KEYS_FILE" in captured.err
        assert "MRN1" not in captured.out


def opened_of(topic, value, keys):
    """Return a value of a topic in clear; it has to be sealed there."""
    assert is_sealed(value)
    return ValueOpener(Seal(keyring(keys))).open(topic, value)


def test_a_retry_of_a_sealed_letter_sends_the_first_bytes_sealed(letters, kafka, keys, capsys):
    system, source = letters
    assert main(["dead", "retry", system, "--all", "--json"]) == 1, "one was too large to keep"
    assert orjson.loads(capsys.readouterr().out) == {"retried": 1, "left_out": 1}
    ((_, key, value, headers),) = messages(kafka.bootstrap, source, 1)
    assert (key, opened_of(source, value, keys)) == (b"MRN1", b"Canary")
    assert headers["headrace-origin"] == f"{source}/0/7".encode()


def test_exported_sealed_letters_are_a_replays_and_open(letters, kafka, keys, tmp_path, capsys):
    system, source = letters
    exported = OutputFiles(tmp_path / "live", (), 100)
    export_dead(f"{system}.dead", Cluster(kafka.bootstrap), exported)
    exported.write()
    replayed = OutputFiles(tmp_path / "replay", (), 100)
    letter = DeadLetter(Coordinates(source, 0, 7), 5_000_000, b"MRN1", b"Canary", "NoKey", "r")
    large = DeadLetter(Coordinates(source, 0, 9), 7_000_000, b"MRN2", b"x" * 200, "NoKey", "r")
    for each in (letter, large):
        replayed.add_dead(Seal(keyring(keys)).letter(system, each))
    replayed.write()
    live = tmp_path / "live" / "dead.jsonl"
    assert live.read_bytes() == (tmp_path / "replay" / "dead.jsonl").read_bytes()
    plain = OutputFiles(tmp_path / "plain", (), 300)
    plain.add_dead(letter)
    plain.write()
    assert main(["keys", "open", str(live), "--output", f"{system}.dead"]) == 0
    opened = capsys.readouterr().out.encode().splitlines()
    assert opened[0] == (tmp_path / "plain" / "dead.jsonl").read_bytes().strip()
    assert to_json(orjson.loads(opened[1])) == opened[1]
    assert orjson.loads(opened[1])["length"] > 200


def test_the_gateway_opens_letters_only_where_it_holds_the_keys(letters, kafka, keys):
    system, source = letters
    at, cluster = f"{source}/0/7/0", Cluster(kafka.bootstrap)
    with closing(Letters(cluster, Seal(keyring(keys)))) as holder:
        shut = holder.shown(system, at)
        assert shut is not None
        assert (shut["key"], shut["value"], shut["sealed"]) == (None, None, True)
        assert shut | {"key": "MRN1", "value": "Canary"} == holder.shown(system, at, unseal=True)
        assert holder.retry(system, at)
    ((_, _, value, _),) = messages(kafka.bootstrap, source, 1)
    assert opened_of(source, value, keys) == b"Canary"
    with closing(Letters(cluster)) as other:
        assert other.shown(system, at) == shut
        for act in (other.retry, partial(other.shown, unseal=True)):
            with pytest.raises(NoKeys, match="HEADRACE_SEALING__KEYS_FILE"):
                act(system, at)


def test_rest_answers_that_a_letter_is_sealed(letters, kafka, monkeypatch):
    system, source = letters
    monkeypatch.delenv("HEADRACE_SEALING__KEYS_FILE")
    path = f"/api/v1/dead/{system}/{source}/0/7/0"
    with serving(settings(bootstrap=kafka.bootstrap)) as client:
        shown = client.get(path).json()
        assert (shown["sealed"], shown["value"]) == (True, None)
        said = expect_problem(client.post(path + "/retry"), 409)
        assert "sealed" in said["detail"]
