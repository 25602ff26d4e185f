"""`headrace simulate adt`: what the hospital's plan says is what its messages give."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from itertools import islice, pairwise
from math import sqrt
from pathlib import Path
from typing import NamedTuple

import orjson
import pytest

from connectors.adt.envelope import domain
from connectors.adt.messages import parse
from connectors.adt.reader import recorded_ns
from connectors.hl7.message import Message
from flows.__main__ import main
from replay.adt.hospital import BY_HOUR, BY_WEEKDAY, Hospital, busyness
from replay.adt.people import BEGIN, DAY_S, HOUR_S
from replay.adt.plan import Plan
from replay.adt.risk import WITHIN_DAYS, probability
from replay.adt.segments import LABS, STRUCTURES, VITALS
from replay.adt.sending import Sent, sent
from replay.adt.wards import Time, Ward
from state.adt.facts import Fact, Mother, Oddity
from state.clock import NS, iso_time
from state.key_file import key_file
from state.records import HEARTBEAT_HEADER
from state.sealing import Keyring, Seal
from tests.operators.adt.tables import Rows, tables
from tests.replay.adt.stays import Stays, number
from tests.replay.recordings import read

SEED, COUNT = 4, 9000
MISTAKES = {
    "unknown", "wrong patient", "wrong transfer", "taken twice", "wrong discharge", "wrong time",
    "wrong disposition", "no show", "phantom",
}  # fmt: skip


class Simulated(NamedTuple):
    """Messages, the plan behind them, and the tables that they give."""

    messages: list[Sent]
    plan: Plan
    tables: dict[str, Rows]


@pytest.fixture(scope="module")
def hospital() -> Simulated:
    made = Hospital(SEED)
    messages = list(sent(made, SEED, COUNT))
    return Simulated(messages, made.plan, tables([each.value for each in messages]))


def values(seed: int, count: int) -> list[bytes]:
    return [each.value for each in sent(Hospital(seed), seed, count)]


def test_a_seed_gives_the_same_bytes_and_another_one_others():
    assert values(5, 1500) == values(5, 1500)
    assert not set(values(5, 1500)) & set(values(6, 1500))


@pytest.mark.parametrize("count", [1, 2, 999])
def test_there_are_as_many_messages_as_were_asked_for(count):
    assert len(values(1, count)) == count


def test_every_message_is_understood_and_nothing_in_it_is_strange(hospital):
    for each in hospital.messages:
        parsed = parse(each.value)
        assert parsed.statements
        assert not [said for said in parsed.statements if isinstance(said, Oddity)]


def test_every_trigger_occurs_and_each_input_of_the_scores(hospital):
    told = [Message(each.value) for each in hospital.messages]
    triggers = Counter(message.text("MSH", 9, 2) for message in told)
    assert triggers.keys() == {*STRUCTURES, "R01"}
    lines = [
        line.split("|") for each in hospital.messages for line in each.value.decode().split("\r")
    ]
    codes = {fields[3].split("^")[0] for fields in lines if fields[0] == "OBX"}
    assert codes == {each.code for each in (*VITALS.values(), *LABS.values())}


def test_every_mistake_occurs(hospital):
    assert hospital.plan.mistakes.keys() == MISTAKES


def test_each_visit_stands_as_the_plan_says(hospital):
    wanted = {
        each.number: (each.status, each.registered.number, each.disposition or None,
                      _time(each.admitted_s), _time(each.discharged_s))
        for each in hospital.plan.visits
        if each.status
    }  # fmt: skip
    found = {
        number(row["visit"]): (row["status"], number(row["patient"]), row["disposition"],
                               row["admitted"], row["discharged"])
        for row in hospital.tables["encounters"]
    }  # fmt: skip
    # A cancelled visit has no times left.
    cancelled = {each for each, (status, *_) in wanted.items() if status == "cancelled"}
    assert cancelled
    for each in cancelled:
        wanted[each] = (*wanted[each][:2], None, None, None)
    assert found == wanted
    statuses = {status for status, *_ in found.values()}
    assert statuses == {"planned", "in-progress", "onleave", "finished", "cancelled"}


def test_each_patient_is_where_the_plan_says(hospital):
    wanted = {
        each.number: each.location
        for each in hospital.plan.visits
        if each.status in ("in-progress", "onleave")
    }
    found = {
        number(row["visit"]): row["location"]
        for row in hospital.tables["location_visits"]
        if row["end"] is None
    }
    assert found == wanted
    assert len({bed for bed in found.values() if bed.count("^") == 2}) > 50


def test_nothing_is_strange_but_the_beds_that_were_taken_twice(hospital):
    planned = hospital.plan.double_booked
    rows = hospital.tables["anomalies"]
    assert {row["kind"] for row in rows} == {"double_booked"}
    overlaps: dict[tuple[str, ...], set[tuple[str, str]]] = defaultdict(set)
    for row in rows:
        when = row["location"], row["start"], row["end"]
        overlaps[when].add((row["location"], number(row["visit"])))
    assert all(beds & planned for beds in overlaps.values())
    assert planned <= set().union(*overlaps.values())


def test_any_order_of_the_messages_gives_the_same_tables(hospital):
    raws = [each.value for each in hospital.messages]
    random.Random(1).shuffle(raws)
    assert tables(raws) == hospital.tables


def test_messages_come_late_and_out_of_order(hospital):
    arrivals = [each.arrival_s for each in hospital.messages]
    assert arrivals == sorted(arrivals)
    behind = [each.arrival_s - each.recorded_s for each in hospital.messages]
    assert min(behind) >= 0
    assert 0.01 < sum(late > HOUR_S for late in behind) / COUNT < 0.05
    assert max(behind) > DAY_S
    assert any(two.recorded_s < one.recorded_s for one, two in pairwise(hospital.messages))


def test_messages_come_twice_with_the_same_bytes_and_in_another_envelope(hospital):
    raws = Counter(each.value for each in hospital.messages)
    assert set(raws.values()) == {1, 2}
    digests = Counter(Message(raw).digest() for raw in raws)
    assert set(digests.values()) == {1, 2}
    assert 0.005 < (COUNT - len(raws)) / COUNT < 0.02
    assert 0.002 < (len(raws) - len(digests)) / COUNT < 0.01
    controls = [Message(raw).text("MSH", 10) for raw in raws]
    assert len(set(controls)) == len(controls)


def test_what_happens_is_recorded_minutes_later_and_not_in_its_order(hospital):
    facts = [each for each in _facts(hospital) if each.trigger in ("A02", "A04", "A06")]
    delays = sorted((each.recorded_ns - each.clinical_ns) / NS for each in facts)
    assert delays[0] >= 5
    assert 60 < delays[len(delays) // 2] < 600
    assert delays[-1] > 3000
    by_record = sorted(facts, key=lambda each: each.recorded_ns)
    assert any(two.clinical_ns < one.clinical_ns for one, two in pairwise(by_record))


def test_newborns_share_the_bed_of_their_mothers(hospital):
    mothers = [
        each
        for message in hospital.messages
        for each in parse(message.value).statements
        if isinstance(each, Mother)
    ]
    homes = defaultdict(set)
    for row in hospital.tables["location_visits"]:
        homes[row["patient"]].add(row["location"])
    assert mothers
    assert all(homes[each.child] <= homes[each.mother] for each in mothers)


def test_more_people_come_by_day_than_by_night(hospital):
    admissions = {
        each.visit: each.clinical_ns for each in _facts(hospital) if each.trigger == "A04"
    }
    hours = Counter(each // (3600 * NS) % 24 for each in admissions.values())
    assert sum(hours[hour] for hour in range(10, 16)) > 3 * sum(hours[hour] for hour in range(6))


def test_how_busy_it_is_goes_by_hour_weekday_and_season():
    for rates in (BY_HOUR, BY_WEEKDAY):
        assert sum(rates) / len(rates) == pytest.approx(1, abs=0.02)
    winter, summer = (
        sum(busyness((day * 24 + hour) * HOUR_S) for day in range(first, first + 28)
            for hour in range(24))
        for first in (7, 189)
    )  # fmt: skip
    assert winter == pytest.approx(summer * 1.15 / 0.85, rel=0.02)


def test_a_bed_goes_to_who_waits_longest():
    time, ward, got = Time(), Ward("W", 1), []

    def patient(name):
        bed = yield ward
        got.append((name, bed))

    time.start(patient("a"))
    time.start(patient("b"), 10)
    time.start(patient("c"), 20)
    list(time.steps())
    assert got == [("a", "W^R01^1")]
    longest = ward.give("W^R01^1")
    assert longest is not None
    time.start(longest, bed="W^R01^1")
    assert ward.take() is None, "c waits for the next one"
    list(time.steps())
    assert got[1:] == [("b", "W^R01^1")]


class Stay(NamedTuple):
    """A stay that counts and whose 30 days are over, and whether its patient came again."""

    risk: float
    comes_again: bool


@pytest.fixture(scope="module")
def index_stays() -> list[Stay]:
    """Stays by their risk. 120,000 messages are five months, with some 3,000 such stays."""
    made, now_s = Hospital(SEED), 0
    for message in islice(made.messages(), 120_000):
        now_s = message.made_s
    within_s = WITHIN_DAYS * DAY_S
    unplanned = defaultdict(list)
    for each in made.plan.visits:
        if each.admission_type == "E" and each.inpatient_s is not None:
            unplanned[each.owner].append(each.inpatient_s)
    stays = []
    for each in made.plan.visits:
        left_s = each.discharged_s
        if each.probability is not None and left_s and left_s < now_s - within_s - DAY_S:
            again = any(0 < back_s - left_s <= within_s for back_s in unplanned[each.owner])
            stays.append(Stay(each.probability, again))
    return sorted(stays)


def test_as_many_come_again_as_the_risk_says(index_stays):
    """In each third of the risk, within four deviations of a sum of Bernoulli variables."""
    assert len(index_stays) > 2000
    third = len(index_stays) // 3
    means = []
    for first in range(0, 3 * third, third):
        some = index_stays[first : first + third]
        expected = sum(each.risk for each in some)
        deviation = sqrt(sum(each.risk * (1 - each.risk) for each in some))
        assert abs(sum(each.comes_again for each in some) - expected) <= 4 * deviation
        means.append(expected / third)
    assert means[2] > 4 * means[0]
    assert 0.08 < sum(means) / 3 < 0.14


def test_the_best_forecast_tells_stays_apart_as_published_models_do(index_stays):
    """The chance that one who comes again had a higher risk, in expectation: 0.76."""
    risks = [each.risk for each in index_stays]
    below = pairs = 0.0
    for risk in risks:
        pairs += risk * below
        below += 1 - risk
    area = pairs / (sum(risks) * sum(1 - risk for risk in risks))
    assert area == pytest.approx(0.76, abs=0.02)


def test_the_risk_follows_from_what_messages_hold(hospital):
    """Each feature is read from messages again, for the stays that their tables show finished."""
    stays = Stays(each.value for each in hospital.messages)
    read_again = stays.features(hospital.tables["encounters"])
    sure = {
        each.number: each.probability
        for each in hospital.plan.visits
        if each.probability is not None and each.registered is each.owner
    }
    assert len(sure) > 100
    found = {visit: probability(read_again[visit]) for visit in sure}
    assert found == pytest.approx(sure, rel=0.01)
    assert any(stay.admissions for stay in read_again.values())
    assert any(stay.sodium is None for stay in read_again.values())


def simulate(out: Path, *words: str) -> int:
    return main(["simulate", "adt", "--seed", "1", "--count", "600", "--out", str(out), *words])


def test_a_sealed_file_holds_no_name_in_clear(tmp_path, capsys):
    sealed, clear = tmp_path / "sealed.parquet", tmp_path / "clear.parquet"
    assert simulate(sealed) == simulate(clear, "--plaintext") == 0
    made = f"{key_file()} is made: it seals recordings from now on, keep a copy\n"
    counts = "".join(f"{path}: 600 messages\n" for path in (sealed, clear))
    assert capsys.readouterr() == (counts, made)
    records = read(clear)
    people = {Message(each.value or b"").text("PID", 5).encode() for each in records[:-1]}
    assert len(people) > 20
    assert b"HEADRACE" in clear.read_bytes(), "the canary would be seen"
    assert not [name for name in people if name and name in sealed.read_bytes()]
    seal = Seal(Keyring.parse(key_file().read_text()))
    assert [each.value for each in read(sealed, lambda: seal)] == [e.value for e in records]


def test_key_and_timestamp_are_those_of_an_import(tmp_path, capsys):
    out = tmp_path / "out.parquet"
    assert simulate(out, "--plaintext", "--partitions", "3", "--json") == 0
    assert orjson.loads(capsys.readouterr().out) == {"file": str(out), "messages": 600}
    found = read(out)
    ends = [each for each in found if each.headers]
    assert [[name for name, _ in each.headers] for each in ends] == [[HEARTBEAT_HEADER]] * 3
    assert {each.partition for each in ends} == {0, 1, 2}
    for each in found:
        if not each.headers:
            message = Message(each.value or b"")
            assert (each.key, each.timestamp_ns) == (domain(message.header), recorded_ns(message))


def test_a_replay_has_no_dead_letter(tmp_path, monkeypatch):
    keys = tmp_path / "keys.toml"
    keys.write_text(Keyring.generate().text())
    monkeypatch.setenv("HEADRACE_SEALING__KEYS_FILE", str(keys))
    recording, out = tmp_path / "out.parquet", tmp_path / "replayed"
    assert simulate(recording) == 0
    assert main(["replay", "adt", str(recording), "--out", str(out), "--plaintext"]) == 0
    dead = out / "dead.jsonl"
    assert not dead.exists() or not dead.read_bytes()
    assert (out / "tables" / "encounters.jsonl").read_bytes()


def test_a_seed_that_is_none_is_misuse(tmp_path, capsys):
    words = ["simulate", "adt", "--seed", "-1", "--count", "1", "--out", str(tmp_path / "x")]
    assert main(words) == 2
    assert "--seed" in capsys.readouterr().err


def _facts(hospital: Simulated) -> list[Fact]:
    return [
        each
        for message in hospital.messages
        for each in parse(message.value).statements
        if isinstance(each, Fact)
    ]


def _time(time_s: int | None) -> str | None:
    return None if time_s is None else iso_time((int(BEGIN.timestamp()) + time_s) * NS)
