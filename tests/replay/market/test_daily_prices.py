from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import orjson
import pytest

from connectors.market.events import event_of
from flows.__main__ import main
from replay.market.close import Close
from replay.market.price_table import PriceTable
from replay.message import Message
from replay.recording import Recording
from state.errors import Misuse
from tests.replay.recordings import read

SP20 = Path(__file__).parents[4] / "shared" / "data" / "market" / "daily" / "sp500_dataset.csv.gz"
S = 1_000_000_000
DAY_NS = 86_400 * S
PRICES = """Date,AAA,BBB,CCC
2024-03-08,10.5,20,
2024-03-11,,20.25,nan
2024-03-12,10.75,NaN,5e1
"""
FRIDAY, MONDAY, TUESDAY = (
    int(datetime(2024, 3, day, hour, tzinfo=UTC).timestamp()) * S
    for day, hour in ((8, 21), (11, 20), (12, 20))  # New York's clock went forward on the 10th
)


@pytest.fixture
def prices(tmp_path):
    return table(tmp_path, PRICES)


def table(directory, text, name="prices.csv"):
    path = directory / name
    path.write_text(text)
    return path


def imported(path, *words):
    """Import by the command; return the events and the heartbeats by topic."""
    out = path.parent / "out.parquet"
    assert main(["import", "daily-prices", str(path), "--out", str(out), *words]) == 0
    events: dict[str, list[Message]] = {}
    beats: dict[str, list[Message]] = {}
    for message in read(out):
        (events if message.value else beats).setdefault(message.topic, []).append(message)
    return events, beats


def bodies(events, topic):
    return [orjson.loads(message.value) for message in events[topic]]


def refused(capsys, path, *words):
    """Import, which must fail by misuse; return the one line that says why."""
    out = path.parent / "out.parquet"
    assert main(["import", "daily-prices", str(path), "--out", str(out), *words]) == 2
    assert not list(path.parent.glob("out*"))
    return capsys.readouterr().err


def test_each_day_is_one_event_at_new_yorks_close(prices):
    events, _ = imported(prices)
    assert bodies(events, "market.closes") == [
        {"type": "closes", "ts_ns": ts_ns, "session": day, "prices": day_prices}
        for ts_ns, day, day_prices in (
            (FRIDAY, "2024-03-08", {"AAA": 10.5, "BBB": 20}),
            (MONDAY, "2024-03-11", {"AAA": 10.5, "BBB": 20.25}),
            (TUESDAY, "2024-03-12", {"AAA": 10.75, "BBB": 20.25, "CCC": 50}),
        )
    ]
    assert [m.timestamp_ns for m in events["market.closes"]] == [FRIDAY, MONDAY, TUESDAY]
    assert [m.offset for m in events["market.closes"]] == [0, 1, 2]


def test_the_flow_takes_every_event(prices):
    for messages in imported(prices)[0].values():
        for message in messages:
            assert event_of(orjson.loads(message.value))["ts_ns"] == message.timestamp_ns


def test_the_portfolio_stands_before_the_first_close(prices):
    events, _ = imported(prices)
    (message,) = events["market.portfolios"]
    third = 1 / 3
    assert orjson.loads(message.value) == {
        "type": "portfolio",
        "portfolio": "equal",
        "ts_ns": FRIDAY - 1,
        "weights": {"AAA": third, "BBB": third, "CCC": third},
    }
    assert (message.key, message.timestamp_ns) == (b"equal", FRIDAY - 1)


def test_both_topics_end_a_day_after_the_last_close(prices):
    _, beats = imported(prices)
    ends = {topic: [(m.offset, m.timestamp_ns) for m in found] for topic, found in beats.items()}
    assert ends == {
        "market.closes": [(3, TUESDAY + DAY_NS)],
        "market.portfolios": [(1, TUESDAY + DAY_NS)],
    }
    for (message,) in beats.values():
        time = (TUESDAY + DAY_NS).to_bytes(8, "big", signed=True)
        assert list(message.headers) == [("headrace-heartbeat", time)]
    recording = Recording([prices.parent / "out.parquet"])
    assert recording.partitions == {"market.closes": 1, "market.portfolios": 1}


def test_gaps_that_carry_a_price_are_counted_and_told(prices, capsys):
    imported(prices, "--json")
    told = orjson.loads(capsys.readouterr().out)
    assert told == {"file": str(prices.parent / "out.parquet"), "messages": 4, "gaps": 2}
    imported(prices)
    assert capsys.readouterr().out.splitlines()[1] == "2 gaps carried the last price"


def test_a_gzipped_file_gives_the_same_bytes(prices):
    imported(prices)
    plain = (prices.parent / "out.parquet").read_bytes()
    packed = prices.with_name("prices.csv.gz")
    packed.write_bytes(gzip.compress(prices.read_bytes()))
    imported(packed)
    assert (prices.parent / "out.parquet").read_bytes() == plain


def test_days_before_the_first_price_of_all_are_left_out(tmp_path):
    path = table(tmp_path, "date,A\n2024-03-08,\n2024-03-11,1\n\n2024-03-12,2\n")
    events, _ = imported(path)
    assert [body["prices"] for body in bodies(events, "market.closes")] == [{"A": 1}, {"A": 2}]
    assert bodies(events, "market.portfolios")[0]["ts_ns"] == MONDAY - 1


@pytest.mark.parametrize("header", ["A,Date,B", "A,date,B", "\ufeffDate,A,B", ",A,B", "day,A,B"])
def test_the_dates_are_in_the_column_of_that_name_or_the_first(tmp_path, header):
    cells = {"A": "1", "B": "2"}
    row = ",".join(cells.get(name, "2024-03-08") for name in header.split(","))
    events, _ = imported(table(tmp_path, f"{header}\n{row}\n"))
    assert bodies(events, "market.closes")[0]["prices"] == {"A": 1, "B": 2}


def test_sessions_may_end_elsewhere(prices):
    events, _ = imported(prices, "--close", "17:30 Europe/Berlin")
    assert bodies(events, "market.closes")[0]["ts_ns"] == FRIDAY - 9 * 1800 * S


def test_closes_keep_new_yorks_clock_the_year_round():
    close = Close.of("16:00 America/New_York")
    winter, summer = (close.ns(datetime(2013, m, 7, tzinfo=UTC).date()) for m in (1, 7))
    assert [datetime.fromtimestamp(ns // S, UTC).hour for ns in (winter, summer)] == [21, 20]


@pytest.mark.parametrize("close", ["16:00", "25:00 America/New_York", "16:00 Mars/Crater", "", "x"])
def test_a_close_that_is_none_is_misuse(close):
    with pytest.raises(Misuse, match="is no close"):
        Close.of(close)


@pytest.mark.parametrize(
    ("name", "text"),
    [("mine.json", '{"BBB":-0.5,"AAA":1.5}'), ("mine.csv", "symbol,weight\nBBB, -0.5\nAAA,1.5\n")],
)
def test_weights_come_from_a_file_which_names_the_portfolio(prices, name, text):
    weights = table(prices.parent, text, name)
    for words, portfolio in (([], "mine"), (["--portfolio", "fund"], "fund")):
        events, _ = imported(prices, "--weights", str(weights), *words)
        (body,) = bodies(events, "market.portfolios")
        assert body["weights"] == {"AAA": 1.5, "BBB": -0.5}
        assert body["portfolio"] == portfolio
        assert events["market.portfolios"][0].key == portfolio.encode()


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("w.json", '{"AAA":0.5,"ZZZ":0.3,"YYY":0.2}', "YYY, ZZZ, of which there are no prices"),
        ("w.json", '{"AAA":null}', "w.json, AAA: 'None' is no number"),
        ("w.json", "{}", "holds no weight"),
        ("w.json", "[1]", "no JSON object"),
        ("w.json", "{", "is no JSON"),
        ("w.csv", "symbol,weight\nAAA,half\n", "w.csv:2, AAA: 'half' is no number"),
        ("w.csv", "symbol,weight\nAAA,0.5\nAAA,0.5\n", "w.csv:3: AAA has a weight already"),
        ("w.csv", "symbol,weight\nAAA\n", "w.csv:2 has 1 cells"),
        ("w.csv", "AAA,0.5\n", "w.csv:1: the header must be symbol,weight"),
        ("w.csv", "symbol,weight\nAAA,2e6\n", "portfolio 'w': weights: "),
    ],
)
def test_weights_that_cannot_be_are_misuse(prices, capsys, name, text, fault):
    weights = table(prices.parent, text, name)
    assert fault in refused(capsys, prices, "--weights", str(weights))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "Date,A\n2024-03-08,1\n2024-03-08,2\n",
            "csv:3: 2024-03-08 does not come after 2024-03",
        ),
        ("Date,A\n2024-03-08,1\n2024-03-07,2\n", "csv:3: 2024-03-07 does not come after"),
        ("Date,A\n2024-03-08,1\n08/03/2024,2\n", "csv:3: '08/03/2024' is no date"),
        ("Date,A,B\n2024-03-08,1,0\n", "csv:2, B: a price must be above 0, found 0"),
        ("Date,A,B\n2024-03-08,1,-2.5\n", "csv:2, B: a price must be above 0, found -2.5"),
        ("Date,A,B\n2024-03-08,inf,1\n", "csv:2, A: 'inf' is no number"),
        ("Date,A,B\n2024-03-08,1,x\n", "csv:2, B: 'x' is no number"),
        ("Date,A,B\n2024-03-08,1\n", "csv:2 has 2 cells, the header has 3"),
        ("Date,A,B\n2024-03-08,1,1e16\n", "csv:2: prices: "),
        ("Date,A\n1960-03-08,1\n", "csv:2: 1960-03-08 is before 1970"),
        ("Date,A,A\n2024-03-08,1,2\n", "csv:1 has two columns 'A'"),
        ("Date,A,\n2024-03-08,1,2\n", "csv:1 has a column without a name"),
        ("Date\n2024-03-08\n", "csv:1 names no asset"),
        ("", "names no asset"),
        ("Date,A\n", "holds no price"),
        ("Date,A\n2024-03-08,\n", "holds no price"),
        ('Date,A\n2024-03-08,"1\n', "is no CSV file"),
    ],
)
def test_a_table_that_cannot_be_is_misuse_and_leaves_nothing(tmp_path, capsys, text, fault):
    assert fault in refused(capsys, table(tmp_path, text))


def test_files_that_cannot_be_read_are_misuse(tmp_path, capsys):
    assert "cannot read" in refused(capsys, tmp_path / "absent.csv")
    assert "cannot read" in refused(capsys, table(tmp_path, PRICES, "plain.csv.gz"))
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(PRICES.encode())[:-12])
    assert "is no CSV file" in refused(capsys, cut)
    other = tmp_path / "latin.csv"
    other.write_bytes("Date,Ä\n".encode("latin-1"))
    assert "is no CSV file" in refused(capsys, other)


def test_one_file_and_one_partition(prices, capsys):
    for words in ([str(prices)], ["--partitions", "2"], ["--topic", "t"]):
        with pytest.raises(SystemExit):
            main(["import", "daily-prices", str(prices), *words, "--out", "o"])
        assert f"unrecognized arguments: {words[0]}" in capsys.readouterr().err


@pytest.mark.skipif(not SP20.exists(), reason=f"{SP20} is absent")
def test_the_sp20_imports_whole(tmp_path):
    packed = tmp_path / "sp20.csv.gz"
    packed.write_bytes(SP20.read_bytes())
    events, _ = imported(packed)
    with gzip.open(SP20, "rt") as file:
        header, *rows = [line.strip().split(",") for line in file]
    found = bodies(events, "market.closes")
    assert len(found) == len(rows) == 8313
    expected = np.array([row[1:] for row in rows], np.float64)
    assert np.array_equal([[b["prices"][s] for s in header[1:]] for b in found], expected)
    local = [datetime.fromtimestamp(b["ts_ns"] // S, UTC).date().isoformat() for b in found]
    assert local == [row[0] for row in rows]
    assert PriceTable(SP20).symbols == header[1:]


BARS = """Date,Open,High,Low,Close,Adj Close,Volume
2023-02-07 00:00:00-05:00,548,551,541,547,527,16195947
2023-02-08 00:00:00-05:00,549,551,541,548,528,17195947
"""


def test_the_bars_of_one_asset_are_not_taken_for_six_assets(tmp_path, capsys):
    path = table(tmp_path, BARS, "GME.csv")
    assert "--column Close --symbol NAME" in refused(capsys, path)
    assert "has no column 'close'" in refused(capsys, path, "--column", "close")
    assert "give both" in refused(capsys, path, "--symbol", "GME")
    for words, symbol in ((), "GME"), (("--symbol", "X"), "X"):
        events, _ = imported(path, "--column", "Close", *words)
        closes = bodies(events, "market.closes")
        assert [close["prices"] for close in closes] == [{symbol: 547}, {symbol: 548}]


def test_a_date_may_have_a_time_but_not_come_before_1970(tmp_path, capsys):
    events, _ = imported(table(tmp_path, "Date,A\n2024-03-08T16:00:00,10\n"))
    assert [m.timestamp_ns for m in events["market.closes"]] == [FRIDAY]
    (tmp_path / "out.parquet").unlink()
    old = refused(capsys, table(tmp_path, "Date,A\n1969-12-31,10\n1970-01-02,10\n"))
    assert "prices.csv:2: 1969-12-31 is before 1970" in old
