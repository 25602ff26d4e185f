"""What results say: each OBX of an ORU, by its own type, order and time."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.adt.messages import parse as parse_adt
from connectors.adt.observations import Results, results
from connectors.hl7.files import contents
from connectors.hl7.message import Message
from state.adt.facts import Fact, Oddity
from state.adt.observations import CODED, NUMBER, STATUSES, TEXT, Observation
from state.errors import BadRecord, NoTime, OutOfRange, WrongType

DATA = Path(__file__).parents[4] / "shared/data/adt"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="../shared/data/adt is not here")
HEAD = "MSH|^~\\&|LAB|GH|||20240305100000||ORU^R01|1|P|2.5"
PID, PV1 = "PID|1||7^^^GH^MR", f"PV1|1|I|W{'|' * 16}V1^^^GH"
OBR = "OBR|1|PL7|FL7|24323-8^Panel^LN|||20240305090000"


def parse(raw: bytes, zone: tzinfo = UTC) -> Results:
    return results(Message(raw), zone)


def read(*segments: str, head: str = HEAD) -> list[Observation]:
    return list(parse("\r".join((head, *segments)).encode()).observations)


def obx(
    kind: str = "NM",
    value: str = "6.1",
    code: str = "2823-3^Potassium^LN",
    sub_id: str = "",
    unit: str = "mmol/L",
    status: str = "F",
    time: str = "",
) -> str:
    return f"OBX|1|{kind}|{code}|{sub_id}|{value}|{unit}|||||{status}|||{time}"


def one(*segments: str) -> Observation:
    [found] = read(PID, PV1, OBR, *segments)
    return found


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def test_a_result_says_all_that_is_asked_of_it():
    raw = "\r".join((HEAD, PID, PV1, OBR, obx(time="20240305083000", sub_id="2")))
    [found] = parse(raw.encode()).observations
    assert found == Observation(
        recorded_ns=ns("2024-03-05T10:00"),
        clinical_ns=ns("2024-03-05T08:30"),
        digest=f"{Message(raw.encode()).digest()[:24]}  utf_8 000000",
        patient="7^^^GH",
        visit="V1^^^GH",
        filler="FL7",
        code="2823-3",
        system="LN",
        text="Potassium",
        sub_id="2",
        timed=True,
        kind=NUMBER,
        value="6.1",
        comparator=None,
        unit="mmol/L",
        status="final",
        confirms=False,
    )


@pytest.mark.parametrize(
    ("obx_14", "obr_7", "wanted", "timed"),
    [
        ("20240305083000", "20240305090000", "2024-03-05T08:30", True),
        ("", "20240305090000", "2024-03-05T09:00", True),
        ("20240230", "20240305090000", "2024-03-05T09:00", True),
        ("", "", "2024-03-05T10:00", False),
    ],
)
def test_the_clinical_time_is_obx_14_else_obr_7_else_that_of_the_sending(
    obx_14, obr_7, wanted, timed
):
    [found] = read(PID, f"OBR|1||F|X|||{obr_7}", obx(time=obx_14))
    assert (found.clinical_ns, found.timed) == (ns(wanted), timed)


def test_the_recorded_time_is_evn_2_else_msh_7_else_the_latest_that_is_told():
    evn = "EVN|R01|20240305110000"
    untimed = HEAD.replace("20240305100000", "")
    both = obx(time="20240305120000"), obx(time="20240305083000")
    for head, segments, wanted in (
        (HEAD, (evn, PID, *both), "2024-03-05T11:00"),
        (HEAD, (PID, *both), "2024-03-05T10:00"),
        (HEAD, ("EVN|R01|20240230", PID, *both), "2024-03-05T10:00"),
        (untimed, (PID, *both), "2024-03-05T12:00"),
    ):
        found = read(*segments, head=head)
        assert {each.recorded_ns for each in found} == {ns(wanted)}
        assert parse("\r".join((head, *segments)).encode()).recorded_ns == ns(wanted)
    with pytest.raises(NoTime):
        read(PID, obx(), head=untimed)


def test_patient_and_visit_are_those_of_adt():
    pid = 'PID|1||""~90^^^N^NI~1001^^^H&1.2&ISO^MR|||||||||||||||A7'
    for pv1 in (PV1, "PV1|1|I|W", f"PV1|1|I|W{'|' * 41}20240305083000"):
        for who in (pid, "PID|1||1"):
            told = f"{who}\r{pv1}"
            admission = HEAD.replace("ORU^R01", "ADT^A28") + "\rEVN|A28\r" + told
            deleted = parse_adt(admission.replace("A28", "A29").encode()).statements[0]
            [found] = read(told, obx())
            assert isinstance(deleted, Fact)
            assert found.patient == deleted.patient
            try:
                statements = parse_adt(admission.replace("A28", "A01").encode()).statements
            except WrongType:
                assert found.visit == ""
            else:
                assert isinstance(statements[0], Fact)
                assert found.visit == statements[0].visit


def test_a_message_without_a_patient_is_refused_as_adt_s_are():
    for pid in ((), ("PID|1",), ('PID|1||""',)):
        with pytest.raises(WrongType, match="PID-3"):
            read(*pid, OBR, obx())
    with pytest.raises(OutOfRange, match="80"):
        read("PID|1||" + "1" * 81, obx())


def test_several_orders_and_patients_of_one_message():
    found = read(
        PID, PV1, "ORC|RE||FL1", "OBR|1|PL1||A", obx(value="1"), "NTE|1||text", obx(value="2"),
        "OBR|2|PL2||A", obx(value="3"), "ORC|RE||FL3", "OBR|3||FL4^LAB|A", obx(value="4"),
        "PID|2||8", obx(value="5"),
    )  # fmt: skip
    assert [(each.value, each.patient, each.visit, each.filler) for each in found] == [
        ("1", "7^^^GH", "V1^^^GH", "FL1"), ("2", "7^^^GH", "V1^^^GH", "FL1"),
        ("3", "7^^^GH", "V1^^^GH", "PL2"), ("4", "7^^^GH", "V1^^^GH", "FL4^LAB"),
        ("5", "8^^^GH", "", ""),
    ]  # fmt: skip
    assert len({each.digest for each in found}) == 5


@pytest.mark.parametrize(
    ("sent", "code", "system", "text"),
    [
        ("2823-3^Potassium^LN", "2823-3", "LN", "Potassium"),
        ("K^Kalium^L^2823-3^Potassium^LN", "2823-3", "LN", "Potassium"),
        ("2823-3^Potassium^LN^K^Kalium^L", "2823-3", "LN", "Potassium"),
        ("K^Kalium^L^K2^Kalium 2^99X^^^^2823-3^Potassium^LN", "2823-3", "LN", "Potassium"),
        ("K^Kalium^L^K2^Kalium 2^99X", "K", "L", "Kalium"),
        ("^^^K2^Kalium 2^99X", "K2", "99X", "Kalium 2"),
        ("K", "K", "", ""),
        ("2823-3^^LN^^^^^^what was ordered", "2823-3", "LN", "what was ordered"),
        ("^Potassium", "", "", "Potassium"),
        ("", "", "", ""),
        (r"K\S\1^a\T\b^L", r"K\S\1", "L", "a&b"),
    ],
)
def test_the_code_is_loinc_s_where_it_is_told(sent, code, system, text):
    found = one(obx(code=sent))
    assert (found.code, found.system, found.text) == (code, system, text)


@pytest.mark.parametrize(
    ("kind", "sent", "wanted"),
    [
        ("NM", "6.10", (NUMBER, "6.10", None)),
        ("NM", " -.5 ", (NUMBER, "-.5", None)),
        ("NM", "haemolytic", (TEXT, "haemolytic", None)),
        ("NM", "<5", (NUMBER, "5", "<")),
        ("NM", ">= 5.0", (NUMBER, "5.0", ">=")),
        ("NM", "<x", (TEXT, "<x", None)),
        ("NM", "<>5", (TEXT, "<>5", None)),
        ("NM", "1,5", (TEXT, "1,5", None)),
        ("NM", "1e3", (TEXT, "1e3", None)),
        ("NM", "NaN", (TEXT, "NaN", None)),
        ("NM", "٣", (TEXT, "٣", None)),
        ("NM", "1~2", (TEXT, "1~2", None)),
        ("NM", "1" * 31, (TEXT, "1" * 31, None)),
        ("NM", "", ("", None, None)),
        ("NM", '""', ("", None, None)),
        ("", "28", (NUMBER, "28", None)),
        ("", "Alert", (TEXT, "Alert", None)),
        ("SN", "<^5", (NUMBER, "5", "<")),
        ("SN", ">=^5.0", (NUMBER, "5.0", ">=")),
        ("SN", "=^5", (NUMBER, "5", None)),
        ("SN", "^5", (NUMBER, "5", None)),
        ("SN", "<>^5", (TEXT, "<>5", None)),
        ("SN", "^1^:^128", (TEXT, "1:128", None)),
        ("SN", "^2^-^10", (TEXT, "2-10", None)),
        ("SN", "^1^+", (TEXT, "1+", None)),
        ("SN", "", ("", None, None)),
        ("ST", "7.3", (TEXT, "7.3", None)),
        ("TX", r"a^b~c\.br\d\F\e", (TEXT, "a^b~c\nd|e", None)),
        ("FT", r"\H\bold\N\ ", (TEXT, "bold", None)),
        ("CWE", "NEG^Negative^L", (CODED, "NEG^Negative", None)),
        ("CE", "A^a~B^b^L~^c~~D", (CODED, r"A^a~B^b~^c~D", None)),
        ("CWE", "^^^NEG^NEGATIVE^L", (CODED, "NEG^NEGATIVE", None)),
        ("CWE", "^^^^^^^^only text", (CODED, "^only text", None)),
        ("CWE", r"A\S\1^x\R\y", (CODED, r"A\S\1^x\R\y", None)),
        ("CWE", "", ("", None, None)),
        ("ED", "^AP^^Base64^SGVsbG8=", ("", None, None)),
        ("RP", "http://x", ("", None, None)),
        ("ZZ", "what^ever", (TEXT, "what^ever", None)),
    ],
)
def test_a_value_is_read_by_its_type(kind, sent, wanted):
    found = one(obx(kind, sent))
    assert (found.kind, found.value, found.comparator) == wanted


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        ("mmol/L", "mmol/L"),
        ("frob", "frob"),
        ("[IU]/mL^international unit per milliliter^UCUM^IU/ml^^L", "[IU]/mL"),
        ("^milligram", "milligram"),
        ("^^^mg/dL", "mg/dL"),
        ("10^9/L", "10^9/L"),
        (r"x10\S\9/L", "x10^9/L"),
        ('""', None),
        ("", None),
    ],
)
def test_the_unit_is_as_it_was_sent(sent, wanted):
    assert one(obx(unit=sent)).unit == wanted


def test_the_status_is_in_the_words_of_fhir():
    told = {letter: one(obx(status=letter)).status for letter in STATUSES}
    assert told == STATUSES
    wanted = {"F": "final", "P": "preliminary", "C": "corrected", "A": "amended",
              "D": "entered-in-error", "W": "entered-in-error", "X": "cancelled"}  # fmt: skip
    assert {letter: told[letter] for letter in wanted} == wanted
    assert one(obx(status="w")).status == "entered-in-error"
    assert [one(obx(status=each)).status for each in ("", "Q", '""')] == ["unknown"] * 3


def test_only_a_u_without_a_value_confirms():
    told = [one(obx(status=status, value=value)).confirms
            for status in "UF" for value in ("", "6.1")]  # fmt: skip
    assert told == [True, False, False, False]


def test_what_separates_the_parts_of_a_key_is_escaped_and_a_sub_id_has_parts():
    found = read(PID, r"OBR|1||F\S\1^L\F\2|X", obx(sub_id="1^2^^"))
    assert [(each.filler, each.sub_id) for each in found] == [(r"F\S\1^L\F\2", "1^2")]


def test_a_time_that_cannot_be_is_strange():
    [told] = parse("\r".join((HEAD, PID, PV1, OBR, obx(time="20240230"))).encode()).oddities
    about = "time_invalid", "7^^^GH", "V1^^^GH", "OBX-14"
    assert told == Oddity(ns("2024-03-05T09:00"), *about, ns("2024-03-05T10:00"))


def test_only_the_observation_with_the_doubtful_time_is_strange():
    strange, other = obx(time="20240230"), obx(time="20240305083000")
    [told] = parse(f"{HEAD}\r{PID}\r{OBR}\r{strange}\r{other}".encode()).oddities
    assert (told.clinical_ns, told.field) == (ns("2024-03-05T09:00"), "OBX-14")


def test_a_doubt_about_the_sending_is_told_once():
    segments = "EVN|R01|20240230", PID, PV1, OBR, obx(), obx(code="2951-2^Sodium^LN")
    [told] = parse("\r".join((HEAD, *segments)).encode()).oddities
    about = "time_invalid", "7^^^GH", "V1^^^GH", "EVN-2"
    assert told == Oddity(ns("2024-03-05T09:00"), *about, ns("2024-03-05T10:00"))


def test_the_zone_of_a_site_counts_where_a_message_names_none():
    raw = f"{HEAD}\r{PID}\r{OBR}\r{obx()}".encode()
    [there] = parse(raw, ZoneInfo("Europe/Berlin")).observations
    [here] = parse(raw).observations
    assert here.clinical_ns - there.clinical_ns == 3600 * 10**9
    named = raw.replace(b"20240305100000", b"20240305100000-0500")
    assert parse(named, ZoneInfo("Europe/Berlin")) == parse(named)


def test_the_envelope_does_not_make_it_another_observation():
    raw = f"{HEAD}\r{PID}\r{OBR}\r{obx()}".encode()
    assert parse(raw.replace(b"|1|P|", b"|2|P|")) == parse(raw)


def test_what_is_no_oru_says_nothing_and_any_of_them_does():
    raw = f"{HEAD}\r{PID}\r{OBR}\r{obx()}".encode()
    for other in (b"MDM^T02", b"", b"R01"):
        assert not parse_adt(raw.replace(b"ORU^R01", other)).statements
    for other in (b"ORU^R30", b"ORU", b"ORU^R40^ORU_R01"):
        assert len(parse(raw.replace(b"ORU^R01", other)).observations) == 1
    assert parse(raw).domain == "GH"


ODD = st.text(st.sampled_from('|^~&\\"<>=109.x-+ \rOBXPIDRV'), max_size=60)


@given(ODD, st.sampled_from(["NM", "SN", "CWE", "TX", "ED", "", "?"]))
def test_odd_input_is_read_or_refused_and_a_number_is_one(odd, kind):
    raw = f"{HEAD}\r{PID}\r{OBR}\r{obx(kind)[:30]}{odd}\r{obx(kind, odd)}".encode()
    try:
        found = parse(raw).observations
    except BadRecord as error:
        refused = error
        assert isinstance(refused, WrongType | OutOfRange)
    else:
        numbers = [each.value for each in found if each.kind == NUMBER]
        assert all(Decimal(each or "").is_finite() for each in numbers)
        assert all((each.value is None) == (each.kind == "") for each in found)


def test_each_beginning_of_a_message_is_read_or_is_no_message():
    raw = "\r".join((HEAD, PID, PV1, OBR, obx("SN", "<^5"), obx("CE", "A^a~B"), obx())).encode()
    whole = {end: _count(raw[:end]) for end in range(len(raw) + 1)}
    assert {whole[end] for end in range(len(HEAD), len(raw))} == {0, 1, 2, 3}
    assert list(whole.values())[-1] == 3


def _count(raw: bytes) -> int:
    try:
        return len(parse(raw).observations)
    except BadRecord:
        return 0


def raws_of(name: str) -> list[bytes]:
    path = DATA / name
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    found = [raw for file in files for raw in contents(file.read_bytes()).messages]
    return [raw for raw in found if Message(raw).text("MSH", 9) == "ORU"]


@needs_data
def test_each_result_of_the_hospital_s_simulator_is_read():
    found = [parse(raw) for raw in raws_of("simhospital/messages.out")]
    observations = [each for results in found for each in results.observations]
    assert (len(found), len(observations)) == (610, 3323)
    assert [each for results in found for each in results.oddities] == []
    assert all(each.patient and each.filler and each.code and each.timed for each in observations)
    kinds = [each.kind for each in observations]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {NUMBER: 2824, TEXT: 435, "": 64}


@needs_data
def test_each_result_of_the_converter_s_tests_is_read_or_names_no_patient():
    read_, refused = [], []
    for raw in raws_of("linuxforhealth/messages"):
        try:
            read_.append(len(parse(raw).observations))
        except WrongType as error:
            refused.append(str(error))
    assert (len(read_), sum(read_)) == (24, 22)
    assert refused == ["PID-3 is missing"] * 2
