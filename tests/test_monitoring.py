"""The files for Prometheus and Grafana name metrics and labels that there are, and all of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it ships no types
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from operators.market.controls.controls import Controls
from operators.market.controls.decider import Decider
from operators.market.controls.limits import ControlSettings
from operators.market.controls.reasons import Reason
from operators.market.controls.states import Event
from state import metrics

DEPLOY = Path(__file__).parents[1] / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana").glob("*.json"))
ALERTS = DEPLOY / "prometheus/alerts.yml"
FUNCTIONS = {"sum", "rate", "increase", "histogram_quantile", "label_values"}
KEYWORDS = {"by", "and", "or", "unless"}
SCRAPED = {"up": {"job"}}
"""What Prometheus itself makes, with its labels."""
ADDED = {"instance", "job", "flow"}
"""Labels that a scrape adds."""


def _known() -> dict[str, set[str]]:
    """Return the labels of every series that the metrics of state/metrics.py are told as."""
    known = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            described = next(iter(metric.describe()))
            labels = set(metric._labelnames)  # there is no public way
            endings = {
                "counter": ["_total"],
                "gauge": [""],
                "histogram": ["_bucket", "_sum", "_count"],
            }[described.type]
            for ending in endings:
                extra = {"le"} if ending == "_bucket" else set()
                known[described.name + ending] = labels | extra
    return known


KNOWN = _known() | SCRAPED


def _names(expression: str) -> tuple[set[str], set[str]]:
    """Return the series and the labels that a PromQL expression names."""
    bare = re.sub(r'"[^"]*"', "", expression)
    labels = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)(?!=)", " ".join(re.findall(r"{[^}]*}", bare))))
    for group in re.findall(r"\b(?:by|without)\s*\(([^)]*)\)", bare):
        labels |= set(re.findall(r"\w+", group))
    rest = re.sub(r"{[^}]*}|\[[^\]]*\]|\b(?:by|without)\s*\([^)]*\)|\boffset\s+\w+", " ", bare)
    words = set(re.findall(r"[a-zA-Z_]\w*", rest))
    return words - FUNCTIONS - KEYWORDS, labels


def _panels(path: Path) -> list[dict[str, Any]]:
    return [p for p in json.loads(path.read_text())["panels"] if p["type"] != "row"]


def _expressions() -> Iterator[tuple[str, str]]:
    for path in DASHBOARDS:
        for panel in _panels(path):
            for target in panel["targets"]:
                yield f"{panel['title']} {target['refId']}", target["expr"]
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


EXPRESSIONS = list(_expressions())


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS, ids=[w for w, _ in EXPRESSIONS])
def test_an_expression_names_series_and_labels_that_there_are(where, expression):
    series, labels = _names(expression)
    assert series, where
    assert series <= KNOWN.keys(), f"{where}: {series - KNOWN.keys()}"
    there = set.intersection(*(KNOWN[name] for name in series)) | ADDED
    assert labels <= there, f"{where}: {labels - there}"


def test_every_metric_has_a_panel():
    shown = set().union(*(_names(expression)[0] for _, expression in EXPRESSIONS))
    stems = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    missing = {re.sub(r"_(bucket|sum|count)$", "", name) for name in KNOWN} - stems
    assert not missing


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_have_ids_of_their_own_and_do_not_overlap(path):
    panels = json.loads(path.read_text())["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(ids) == len(set(ids)) > 10
    cells = [
        (x, y)
        for g in (panel["gridPos"] for panel in panels)
        for x in range(g["x"], g["x"] + g["w"])
        for y in range(g["y"], g["y"] + g["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_an_unknown_name_would_be_found():
    assert _names('sum by (a) (rate(x_total{b=~"$c",d!="e"}[5m])) > 0.5') == (
        {"x_total"},
        {"a", "b", "d"},
    )


def test_alerts_have_names_of_their_own_and_say_what_is_wrong():
    rules = [r for g in yaml.safe_load(ALERTS.read_text())["groups"] for r in g["rules"]]
    names = [rule["alert"] for rule in rules]
    assert len(names) == len(set(names)) > 5
    for rule in rules:
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in {"page", "warn"}
        for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
            series, by = _names(rule["expr"])
            kept = by if re.search(r"\bby\b", rule["expr"]) else KNOWN[min(series)] | ADDED
            assert label in kept, f"{rule['alert']}: {label} is not there"


FROM_ZERO = (metrics.TRADING_DECISIONS, metrics.TRADING_CHANGES, metrics.FEED_NOTIFY_DEAD)
"""Counters whose series begin at 0, so that their first increment is an increase."""


def test_no_alert_misses_a_first_increment():
    zero = {next(iter(metric.describe())).name + "_total" for metric in FROM_ZERO}
    rules = [r for g in yaml.safe_load(ALERTS.read_text())["groups"] for r in g["rules"]]
    for rule in rules:
        for series in re.findall(r"increase\((\w+)", rule["expr"]):
            seen = re.search(rf"{series}\S*\s+unless\s+{series} offset", rule["expr"])
            assert series in zero or seen, rule["alert"]


def test_the_counters_of_trading_begin_at_zero():
    Decider(Controls(ControlSettings()), "", frozenset())
    for reason in Reason:
        labels = {"decision": "reject", "reason": reason.name}
        assert REGISTRY.get_sample_value("headrace_trading_decisions_total", labels) is not None
    for event in Event:
        labels = {"event": event.value}
        assert REGISTRY.get_sample_value("headrace_trading_changes_total", labels) is not None


def test_prometheus_reads_the_alerts():
    settings = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    assert settings["rule_files"] == [ALERTS.name]
    (job,) = settings["scrape_configs"]
    flows = [each["labels"]["flow"] for each in job["static_configs"]]
    assert flows == ["market", "trading", "models", "history", "feed", "mllp"]
