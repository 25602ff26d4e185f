import zipfile
from collections import Counter
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import pytest

from connectors.market.decode import TickDecoder
from flows.__main__ import main
from replay.interleave import Stream, take
from replay.market.lean import import_lean, lean_file, utc_ns
from replay.partitioner import partition_of
from replay.recording import Recording
from replay.rows import to_block
from state.errors import Misuse
from tests.replay.recordings import read

DATA = Path(__file__).parents[4] / "shared" / "data" / "market" / "us_equity_tick"
S = 1_000_000_000
OPEN = 34_200_000
"""09:30 in milliseconds."""


def archive(directory, name, rows, member=None):
    day, symbol, kind = name.split("_")[1], name.split("_")[0], name.split("_")[2].split(".")[0]
    path = directory / name
    with zipfile.ZipFile(path, "w") as file:
        member = member or f"{day}_{symbol}_{kind.title()}_Tick.csv"
        file.writestr(member, "".join(f"{row}\n" for row in rows))
    return path


@pytest.fixture
def files(tmp_path):
    return [
        archive(
            tmp_path,
            "ibm_20131007_quote.zip",
            [f"{OPEN},1836300,100,0,0,Q,1,0", f"{OPEN + 1},0,0,1837000,300,P,1,0"],
        ),
        archive(
            tmp_path,
            "ibm_20131007_trade.zip",
            [f"{OPEN + 1},1836500,200,Q,20,0", f"{OPEN + 1},1836600,100,N,2000,1"],
        ),
        archive(tmp_path, "aig_20131007_trade.zip", [f"{OPEN + 1},491800,300,P,2000,0"]),
    ]


def ticks(path, partition=0):
    return [orjson.loads(m.value) for m in read(path) if m.partition == partition and m.value]


def test_ticks_come_by_time_kind_symbol_and_row(files, tmp_path):
    out = tmp_path / "out"
    assert import_lean(files, out, 1) == 5
    found = [
        (t["type"], t["symbol"], t.get("price", t.get("bid", t.get("ask")))) for t in ticks(out)
    ]
    assert found == [
        ("quote", "IBM", 183.63),
        ("trade", "AIG", 49.18),
        ("trade", "IBM", 183.65),
        ("trade", "IBM", 183.66),
        ("quote", "IBM", 183.7),
    ]


def test_the_order_of_the_arguments_changes_nothing(files, tmp_path):
    import_lean(files, tmp_path / "a", 1)
    import_lean(reversed(files), tmp_path / "b", 1)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_rows_become_ticks_as_documented(files, tmp_path):
    out = tmp_path / "out"
    import_lean(files, out, 1)
    at = datetime(2013, 10, 7, 9, 30, tzinfo=ZoneInfo("America/New_York"))
    ts_ns = int(at.timestamp()) * S + 1_000_000
    assert ticks(out)[3] == {
        "type": "trade",
        "symbol": "IBM",
        "ts_ns": ts_ns,
        "price": 183.66,
        "size": 100,
        "venue": "N",
        "condition": "suspicious:2000",
    }
    assert ticks(out)[4] == {
        "type": "quote",
        "symbol": "IBM",
        "ts_ns": ts_ns,
        "ask": 183.7,
        "ask_size": 300,
        "venue": "P",
    }
    assert {m.timestamp_ns for m in read(out)[1:5]} == {ts_ns}
    assert [m.key for m in read(out)] == [b"IBM", b"AIG", b"IBM", b"IBM", b"IBM", None]


def test_a_symbol_lives_in_kafkas_partition_and_each_ends_with_a_heartbeat(files, tmp_path):
    out = tmp_path / "out"
    import_lean(files, out, 5)
    messages = read(out)
    beats = [m for m in messages if not m.value]
    for message in messages:
        assert message.key is None or message.partition == partition_of(message.key, 5)
    assert [m.partition for m in beats] == [0, 1, 2, 3, 4]
    one_past_midnight = datetime(2013, 10, 8, 1, tzinfo=ZoneInfo("UTC")).timestamp()
    assert {m.timestamp_ns for m in beats} == {int(one_past_midnight) * S}


def test_days_follow_each_other(tmp_path):
    paths = [
        archive(tmp_path, f"aig_{day}_trade.zip", [f"{OPEN},491800,300,P,0,0"])
        for day in ("20131008", "20131007")
    ]
    import_lean(paths, tmp_path / "out", 1)
    first, second, _ = read(tmp_path / "out")
    assert second.timestamp_ns - first.timestamp_ns == 24 * 3600 * S


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2013, 3, 8), 5), (date(2013, 3, 11), 4), (date(2013, 11, 1), 4), (date(2013, 11, 4), 5)],
)
def test_new_yorks_clock_is_four_or_five_hours_behind_utc(day, hours):
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("UTC")).timestamp())
    assert utc_ns(day, np.array([5.0]), Path("x")).tolist() == [
        (midnight + hours * 3600) * S + 5_000_000
    ]


@pytest.mark.parametrize("day", [date(2013, 3, 10), date(2013, 11, 3), date(2013, 10, 7)])
def test_every_hour_of_a_day_is_as_zoneinfo_says(day):
    zone = ZoneInfo("America/New_York")
    hours = np.arange(24.0)
    expected = [
        int(datetime(day.year, day.month, day.day, int(hour), 59, tzinfo=zone).timestamp()) * S
        for hour in hours.tolist()
    ]
    assert utc_ns(day, (hours * 60 + 59) * 60_000, Path("x")).tolist() == expected


def test_milliseconds_and_sizes_may_have_decimals(tmp_path):
    rows = ["34200000.1234,491800,0.5,P,0,0", "34200000.123456,491800,300,P,0,0"]
    import_lean([archive(tmp_path, "aig_20131007_trade.zip", rows)], tmp_path / "out", 1)
    first, second, _ = read(tmp_path / "out")
    assert (first.timestamp_ns % S, second.timestamp_ns % S) == (123_400, 123_456)
    assert [orjson.loads(m.value or b"")["size"] for m in (first, second)] == [0.5, 300]


def test_the_last_of_a_day_is_never_of_the_next_hour(tmp_path):
    day = date(2013, 10, 7)
    last, before = utc_ns(day, np.array([86_399_999.9999999, 86_399_999.999]), Path("x")).tolist()
    assert last - before == 1_000


def test_the_name_of_the_archive_counts_where_the_members_says_nothing(tmp_path):
    path = archive(tmp_path, "brk.b_20131007_quote.zip", [], member="ticks.csv")
    file = lean_file(path)
    assert (file.symbol, file.day, file.kind) == ("BRK.B", date(2013, 10, 7), "quote")


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        (["86400000,491800,300,P,0,0"], "outside its day"),
        (["-0.5,491800,300,P,0,0"], "outside its day"),
        (["nan,491800,300,P,0,0"], "outside its day"),
        (["x,491800,300,P,0,0"], "no Lean trade ticks"),
        (["1,2,3"], "no Lean trade ticks"),
    ],
)
def test_rows_that_cannot_be_are_misuse(tmp_path, rows, fault):
    path = archive(tmp_path, "aig_20131007_trade.zip", rows)
    with pytest.raises(Misuse, match=f"aig_20131007_trade.zip.*{fault}"):
        import_lean([path], tmp_path / "out", 1)
    assert not (tmp_path / "out").exists()


def test_the_same_ticks_twice_are_misuse(files, tmp_path):
    with pytest.raises(Misuse, match="same ticks"):
        import_lean([*files, files[0]], tmp_path / "out", 1)


def test_files_of_another_kind_are_misuse(tmp_path):
    (tmp_path / "a.zip").write_text("hello")
    odd = archive(tmp_path, "aig_20131007_x.zip", [], member="x.csv")
    for path in (tmp_path / "a.zip", odd, tmp_path / "missing.zip"):
        with pytest.raises(Misuse, match=path.name):
            import_lean([path], tmp_path / "out", 1)


def test_the_command_imports(files, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["import", "lean", *map(str, files), "--out", out, "--json"]) == 0
    assert orjson.loads(capsys.readouterr().out) == {"file": out, "messages": 5}
    with pytest.raises(SystemExit):
        main(["import", "lean", str(files[0]), "--out", out, "--topic", "t"])
    assert "unrecognized arguments: --topic t" in capsys.readouterr().err


@pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is absent")
def test_a_real_day_imports_whole_and_decodes(tmp_path):
    files = sorted(DATA.glob("*_20131007_*.zip"))
    expected: Counter[tuple[str, str]] = Counter()
    for path in files:
        with zipfile.ZipFile(path) as file:
            lines = len(file.read(file.namelist()[0]).splitlines())
        expected[lean_file(path).symbol, lean_file(path).kind] += lines
    out = tmp_path / "day"
    assert import_lean(files, out, 4) == sum(expected.values())
    found: Counter[tuple[str, str]] = Counter()
    recording = Recording([out])
    decoder = TickDecoder(5 * S)
    for partition in range(4):
        stream = Stream(recording, recording.reader(), "market.ticks", partition)
        last_ns = 0
        while not stream.ended:
            position = {partition: stream.offset}
            rows = [rows for _, rows in take([stream], 65536, None)]
            block = decoder.decode(to_block("market.ticks", 4, rows, position))
            assert not block.dead
            assert (np.diff(block.ts_ns) >= 0).all()
            assert block.ts_ns[0] >= last_ns
            last_ns = block.ts_ns[-1]
            for code, symbol in enumerate(block.symbols):
                for kind, name in ((1, "trade"), (2, "quote")):
                    found[symbol, name] += int(
                        np.count_nonzero((block.symbol == code) & (block.kind == kind))
                    )
    assert +found == +expected
