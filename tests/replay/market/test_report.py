from __future__ import annotations

import base64
import re

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes

from flows.__main__ import main
from replay.market import plots
from replay.market.plots import DARK, LIGHT, colours_of, contributions_figure, named, var_figure
from replay.market.report_data import Shares, averaged, gathered, largest, read_outputs
from replay.market.report_page import held_until, write_report
from replay.market.report_tables import day, percent, steps
from state.errors import Misuse
from tests.replay.market.outputs import SCALES, WARM_UP, closes, daily_outputs, write

PNG = b"\x89PNG\r\n\x1a\n"
SESSIONS = 90
SCOPE = "portfolio:equal"


@pytest.fixture(scope="module")
def made():
    return daily_outputs(SESSIONS, symbols=12, confidences=(0.99, 0.95), horizons=(1, 10))


@pytest.fixture(scope="module")
def directory(made, tmp_path_factory):
    return write(tmp_path_factory.mktemp("outputs") / "week", made)


@pytest.fixture(scope="module")
def report(directory, tmp_path_factory):
    """The files of a report by name."""
    out = tmp_path_factory.mktemp("report")
    return {path.name: path.read_bytes() for path in write_report(directory, out)}


@pytest.fixture(scope="module")
def text(report):
    return report["index.html"].decode()


def rows(html):
    """Return the cells' texts of every row of every table."""
    found = []
    for row in re.findall(r"<tr>(.*?)</tr>", html):
        cells = re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)
        found.append([re.sub(r"<[^>]+>", "", cell) for cell in cells])
    return found


def notes(html):
    return re.findall(r"<li>(.*?)</li>", html)


def report_on(directory, records):
    """Return the page of a report on made-up records."""
    (path, *_) = write_report(write(directory / "in", records), directory / "out")
    return path.read_text()


def test_a_report_is_a_page_with_its_pictures_beside_it(report):
    pictures = ["var-0.99", "var-0.95", "components", "weights"]
    names = [f"01-equal-{name}{dark}.png" for name in pictures for dark in ("", "-dark")]
    assert list(report) == ["index.html", *names]
    assert all(report[name].startswith(PNG) for name in names)


def test_the_page_holds_the_pictures_and_loads_nothing(report, text):
    images = re.findall(r"data:image/png;base64,([^\"]+)", text)
    assert sorted(map(base64.b64decode, images)) == sorted(
        image for name, image in report.items() if name.endswith(".png")
    )
    targets = re.findall(r"(?:src|srcset|href)=\"([^\"]{1,5})", text)
    assert {target[0] for target in targets} == {"d", "#"}
    assert {target for target in targets if target[0] == "d"} == {"data:"}
    assert not re.search(r"https?:|url\(|@import|<script", text)


def test_the_same_outputs_give_the_same_bytes(report, directory):
    sessions = read_outputs(directory).sessions(SCOPE, 0.95)
    assert plots.png(var_figure(sessions, DARK)) == report["01-equal-var-0.95-dark.png"]


def test_the_latest_figures_stand_beside_their_method(made, text):
    last = {
        (r["method"], r["confidence"], r["horizon"]): r for r in made["risk"][-len(SCALES) * 4 :]
    }
    table = {tuple(row[:2]): row for row in rows(text) if len(row) == 11}
    at = [(0.99, 1), (0.99, 10), (0.95, 1), (0.95, 10)]
    for method in SCALES:
        found = [last[method, *level] for level in at]
        figures = [f"{r[name]:.3%}" for r in found for name in ("var", "es")]
        assert all(r["valid"] for r in found)
        assert table["equal", method][3:] == figures


def test_a_figure_that_its_method_does_not_vouch_for_is_not_shown(made, tmp_path):
    (record,) = made["risk"][-1:]
    html = report_on(tmp_path, {"risk": [record | {"valid": False, "components": None}]})
    assert rows(html)[-1][3:] == ["not valid", "–"]
    assert f"{record['var']:.3%}" not in html


def test_the_last_backtest_of_each_method_is_shown(made, text):
    table = {tuple(row[1:3]): row for row in rows(text) if len(row) == 13}
    last = {(r["method"], r["confidence"]): r for r in made["backtest"]}
    assert len(table) - 1 == len(last) == 2 * len(SCALES)
    for (method, confidence), record in last.items():
        row = table[method, percent(confidence)]
        n, x = record["observations"], record["exceptions"]
        assert row[3:7] == [str(n), "0", str(x), f"{n * (1 - confidence):.1f}"]
        p = record["kupiec_p"]
        assert row[7] == ("&lt; 0.0001" if p < 1e-4 else f"{p:.4f}")
        assert row[11:] == [record["zone"], day(record["ts_ns"])]
        assert f'chip {record["zone"]}">{record["zone"]}' in text


def test_a_backtest_says_how_many_of_its_figures_were_not_valid(made, tmp_path):
    last = made["backtest"][-1]
    mine = ("scope", "method", "confidence")
    tests = [r for r in made["backtest"] if all(r[k] == last[k] for k in mine)]
    risk = [r for r in made["risk"] if all(r[k] == last[k] for k in mine) and r["horizon"] == 1]
    closes = [r["ts_ns"] for r in tests]
    # Three figures in a row, of which the last is of no session yet.
    spoilt = [r | {"valid": r["ts_ns"] not in (*closes[-3:],)} for r in risk]
    html = report_on(tmp_path, {"backtest": tests, "risk": spoilt})
    (row,) = [row for row in rows(html) if len(row) == 13][1:]
    assert row[4] == "2"


def test_rejections_are_bold(made, tmp_path):
    (record,) = made["backtest"][-1:]
    changed = record | {"kupiec_p": 0.0499, "christoffersen_p": 0.05, "conditional_p": 2e-9}
    html = report_on(tmp_path, {"backtest": [changed]})
    assert re.findall(r"<strong>(.*?)</strong>", html) == ["0.0499", "&lt; 0.0001"]


def test_a_forecast_is_held_against_the_next_session_and_not_its_own(made, directory):
    sessions = read_outputs(directory).sessions(SCOPE, 0.99)
    pnl = [r for r in made["pnl"] if r["scope"] == SCOPE]
    for method in SCALES:
        expected, hits = [], []
        forecasts = {
            r["ts_ns"]: r["var"]
            for r in made["risk"]
            if (r["method"], r["confidence"], r["horizon"]) == (method, 0.99, 1)
        }
        for before, record in zip([None, *pnl[:-1]], pnl, strict=True):
            judged = f"{method}|0.99" in record["exceptions"]
            expected.append(forecasts[before["ts_ns"]] if before and judged else np.nan)
            hits.append(record["exceptions"].get(f"{method}|0.99", False))
        np.testing.assert_array_equal(sessions.var[method], expected)
        assert sessions.exceptions[method].tolist() == hits
        known = np.isfinite(sessions.var[method])
        assert (known & (-sessions.returns > sessions.var[method])).tolist() == hits
    assert list(sessions.var) == list(SCALES)


def test_of_two_forecasts_for_a_session_the_later_one_counts(tmp_path):
    made = daily_outputs(20, symbols=2)
    (renewed,) = [r for r in made["risk"] if r["method"] == "historical"][-2:-1]
    later = renewed | {"ts_ns": renewed["ts_ns"] + 1, "id": "x", "var": 0.5}
    made["risk"].append(later)
    sessions = read_outputs(write(tmp_path, made)).sessions(SCOPE, 0.99)
    assert sessions.var["historical"][-1] == 0.5
    assert sessions.var["historical"][-2] != 0.5


def test_without_the_horizon_of_a_session_longer_ones_are_scaled_back(tmp_path):
    one, ten = (
        read_outputs(write(tmp_path / str(h), daily_outputs(30, 3, horizons=(h,)))) for h in (1, 10)
    )
    for method, var in one.sessions(SCOPE, 0.99).var.items():
        np.testing.assert_allclose(ten.sessions(SCOPE, 0.99).var[method], var, rtol=1e-14)
    for method, shares in one.components(SCOPE, 0.99).items():
        other = ten.components(SCOPE, 0.99)[method]
        np.testing.assert_allclose(other.values, shares.values, rtol=1e-14)


def test_components_of_figures_that_do_not_hold_are_left_out(made, tmp_path):
    chosen = [r for r in made["risk"] if (r["method"], r["horizon"]) == ("historical", 1)]
    first, *others = [r for r in chosen if r["confidence"] == 0.99]
    data = read_outputs(write(tmp_path, {"risk": [first | {"valid": False}, *others]}))
    (shares,) = data.components(SCOPE, 0.99).values()
    assert shares.times.astype(np.int64).tolist() == [r["ts_ns"] for r in others]


def test_components_are_those_of_the_two_methods_and_add_up_to_var(made, directory):
    data = read_outputs(directory)
    components = data.components(SCOPE, 0.99)
    assert list(components) == ["ewma-normal", "historical"]
    for method, shares in components.items():
        var = data.daily(SCOPE).filter(method=method, confidence=0.99)["var"].to_numpy()
        assert shares.names == [f"S{i:02d}" for i in range(12)]
        np.testing.assert_allclose(shares.values.sum(axis=1), var, rtol=1e-12)


tables = st.lists(
    st.dictionaries(st.sampled_from("abcdefghijkl"), st.floats(-1, 1), min_size=1), min_size=1
)


@given(tables)
def test_drawing_small_symbols_as_one_loses_nothing(rows):
    names = sorted(set().union(*rows))
    values = np.array([[row.get(name, 0.0) for name in names] for row in rows])
    shares = Shares(np.arange(len(rows)).astype("datetime64[ns]"), names, values)
    colours = colours_of([shares], {})
    drawn = named(shares, colours)
    assert len(drawn.names) <= plots.NAMED + 1
    assert len(set(colours.values())) == len(colours)
    np.testing.assert_allclose(drawn.values.sum(axis=1), values.sum(axis=1), atol=1e-12)
    size = dict(zip(names, np.abs(values).mean(axis=0).tolist(), strict=True))
    left = [size[name] for name in names if name not in colours]
    assert min(size[name] for name in colours) >= max(left, default=0.0)


def test_a_symbol_keeps_its_colour_from_picture_to_picture():
    times = np.arange(1).astype("datetime64[ns]")
    first = Shares(times, list("abcdefgh"), np.array([[8.0, 7, 6, 5, 4, 3, 2, 1]]))
    other = Shares(times, list("hgfx"), np.array([[1.0, 2, 3, 9]]))
    colours = colours_of([first], {})
    again = colours_of([other], colours)
    assert (again["g"], again["f"]) == (colours["g"], colours["f"])
    assert len(set(again.values())) == 4


def test_long_series_are_drawn_as_means_of_neighbours():
    times = np.array(closes(5)).astype("datetime64[ns]")
    shares = Shares(times, ["a", "b"], np.arange(10.0).reshape(5, 2))
    found = averaged(shares, 2)
    assert found.values.tolist() == [[1, 2], [5, 6], [8, 9]]
    assert found.times.tolist() == times[::2].tolist()
    assert averaged(shares, 1).values.tolist() == shares.values.tolist()


def test_a_symbol_that_is_named_without_a_share_is_nothing():
    shares = Shares(np.arange(2).astype("datetime64[ns]"), ["a"], np.array([[1.0], [2.0]]))
    found = gathered(shares, ["b", "a"], "others")
    assert found.names == ["b", "a"]
    assert found.values.tolist() == [[0, 1], [0, 2]]
    assert largest([], 3) == []


def lines(axis: Axes) -> dict[str, np.ndarray]:
    return {str(line.get_label()): np.asarray(line.get_ydata(), float) for line in axis.lines}


def test_the_picture_draws_var_below_zero_and_marks_exceptions(directory):
    sessions = read_outputs(directory).sessions(SCOPE, 0.95)
    above, below = var_figure(sessions, LIGHT).axes
    drawn = lines(above)
    for method, var in sessions.var.items():
        np.testing.assert_array_equal(drawn[method], -var)
    hit = np.any(list(sessions.exceptions.values()), axis=0)
    assert hit.any()
    np.testing.assert_array_equal(drawn["exception"], sessions.returns[hit])
    marks = [np.size(line.get_xdata()) for line in below.lines]
    assert marks == [int(e.sum()) for e in sessions.exceptions.values()]
    assert [label.get_text() for label in below.get_yticklabels()] == list(SCALES)


def test_the_areas_of_a_panel_reach_from_the_hedges_to_the_rest():
    times = np.array(closes(3)).astype("datetime64[ns]")
    values = np.array([[2.0, -1.0, 1.0], [1.0, 0.5, 1.0], [3.0, -2.0, 0.0]])
    shares = {"historical": Shares(times, ["a", "b", "c"], values)}
    (axis,) = contributions_figure(shares, {"a": 0, "b": 1, "c": 2}, LIGHT).axes
    np.testing.assert_array_equal(lines(axis)["VaR"], values.sum(axis=1))
    edges = np.vstack([area.get_paths()[0].vertices for area in axis.collections])
    assert (edges[:, 1].min(), edges[:, 1].max()) == (-2.0, 3.0)
    assert axis.get_ylabel() == "historical"


def test_weights_hold_up_to_the_last_session():
    times = np.array(closes(2)).astype("datetime64[ns]")
    weights = Shares(times, ["a", "b"], np.array([[0.5, 0.5], [1, 0]]))
    last_ns = closes(9)[-1]
    held = held_until(weights, last_ns)
    assert held.times.astype(np.int64).tolist() == [*closes(2), last_ns]
    assert held.values.tolist() == [[0.5, 0.5], [1, 0], [1, 0]]
    assert held_until(weights, 0).times[-1] == times[-1]


def test_stale_weights_are_marked():
    times = np.array(closes(4)).astype("datetime64[ns]")
    weights = Shares(times, ["a", "b"], np.array([[0.5, 0.5], [1, 0], [1, 0], [1, 0]]))
    (axis,) = plots.weights_figure(weights, times[1:2], {"a": 0, "b": 1}, LIGHT).axes
    (marks,) = (line for line in axis.lines if line.get_label() == "stale")
    assert np.asarray(marks.get_xdata()).tolist() == times[1:2].tolist()


def test_stale_weights_tell_their_reason(made, tmp_path):
    (record,) = made["weights"][:1]
    old = record | {"stale": True, "reason": "no <solution>"}
    html = report_on(tmp_path, {"weights": [record, old | {"ts_ns": record["ts_ns"] + 1}]})
    assert "min-variance. 1 of 2 are stale (at last: no &lt;solution&gt;)." in html


def test_what_is_missing_is_said(tmp_path):
    made = daily_outputs(WARM_UP + 5, symbols=2)
    del made["weights"]
    html = report_on(tmp_path, {"risk": made["risk"], "pnl": [], "backtest": made["backtest"]})
    assert notes(html) == [
        "pnl.jsonl is empty.",
        "weights.jsonl is absent.",
        "equal has no P&amp;L (pnl), so no VaR against P&amp;L.",
        "equal has no target weights.",
    ]
    assert "01-equal-components.png" in {path.name for path in (tmp_path / "out").iterdir()}


@pytest.mark.parametrize("output", ["risk", "pnl", "backtest", "weights"])
def test_each_output_is_enough_for_a_page(tmp_path, output):
    made = daily_outputs(WARM_UP + 15, symbols=2)
    html = report_on(tmp_path, {output: made[output]})
    assert len([note for note in notes(html) if note.endswith(".jsonl is absent.")]) == 3
    assert '<h2 id="p1">equal</h2>' in html


def test_outputs_without_a_record_give_a_page_that_says_so(tmp_path):
    html = report_on(tmp_path, {"risk": [], "pnl": []})
    assert notes(html)[0] == "risk.jsonl is empty."
    assert "There are no figures of portfolios." in html
    assert "There are no backtests." in html


def test_figures_of_bars_and_of_symbols_are_kept_apart(made, tmp_path):
    risk = made["risk"][-1] | {"method": "ewma-normal", "interval": "1m", "id": "a"}
    symbol = risk | {"scope": "symbol:S01", "id": "b"}
    bare = [r for r in made["risk"] if r["method"] == "garch-normal"]
    html = report_on(tmp_path, {"risk": [*bare, risk, symbol]})
    assert "<h3>By session</h3>" in html
    assert "<h3>By bars of 1m</h3>" in html
    assert [cells for cells in rows(html) if "95 %, 10 × 1m" in cells] == [["", "95 %, 10 × 1m"]]
    assert "risk.jsonl has 1 records of single symbols, which are not shown." in notes(html)
    assert "Figures by bars of 1m are in their table alone." in notes(html)
    data = read_outputs(tmp_path / "in")
    assert set(data.daily(SCOPE)["interval"]) == {"session"}


def test_names_are_escaped_and_make_safe_files(tmp_path):
    made = daily_outputs(WARM_UP + 15, symbols=2, portfolios=("<b>/../x",))
    html = report_on(tmp_path, {"weights": made["weights"]})
    assert "<b>" not in html
    assert '<h2 id="p1">&lt;b&gt;/../x</h2>' in html
    assert {path.name.split("-")[1] for path in (tmp_path / "out").glob("*.png")} == {"_b__.._x"}


def test_the_command_writes_beside_the_outputs_unless_told(tmp_path, capsys):
    weights = daily_outputs(WARM_UP + 15, symbols=2)["weights"]
    copy = write(tmp_path / "in", {"weights": weights})
    assert main(["report", "market", str(copy), "--json"]) == 0
    files = orjson.loads(capsys.readouterr().out)["files"]
    assert files[0] == str(copy / "report" / "index.html")
    assert sorted(files) == sorted(str(path) for path in (copy / "report").iterdir())
    assert main(["report", "market", str(copy), "--out", str(tmp_path / "page")]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'page' / 'index.html'}: the page, with")


@pytest.mark.parametrize("lines", [None, b"hello\n", b'{"ts_ns":"soon"}\n'])
def test_what_holds_no_outputs_is_misuse(tmp_path, capsys, lines):
    if lines is not None:
        (tmp_path / "risk.jsonl").write_bytes(lines)
    assert main(["report", "market", str(tmp_path)]) == 2
    assert "risk" in capsys.readouterr().err
    with pytest.raises(Misuse):
        read_outputs(tmp_path / "absent")


def test_readers_see_horizons_and_confidences_as_they_write_them():
    assert [percent(c) for c in (0.99, 0.975, 0.9)] == ["99 %", "97.5 %", "90 %"]
    assert [steps(1, "session"), steps(10, "session")] == ["1 session", "10 sessions"]
    assert steps(10, "1m") == "10 × 1m"
