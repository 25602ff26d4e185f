"""The figures of the health tab, and recordings."""

from __future__ import annotations

import math

import numpy as np
from prometheus_client import generate_latest

from connectors.web.rest.scrape import Figures, parse, quantile, since, told
from flows.engine.health import serving as serving_worker
from state import metrics
from state.lifecycle import Lifecycle
from state.metrics import LATENCY_BUCKETS
from tests.connectors.web.rest.rig import expect_problem, serving, settings
from tests.daily_events import closes, messages
from tests.replay import recordings

INF = math.inf


def test_a_quantile_is_within_its_bucket_of_the_real_one():
    rng = np.random.default_rng(7)
    seconds = rng.lognormal(-6, 1.5, 5000)
    bounds = [*LATENCY_BUCKETS, INF]
    buckets = [(bound, float((seconds <= bound).sum())) for bound in bounds]
    for q in (0.01, 0.5, 0.9, 0.99):
        exact = float(np.quantile(seconds, q))
        upper = min(bound for bound in bounds if bound >= exact)
        lower = max((bound for bound in bounds if bound < exact), default=0.0)
        found = quantile(buckets, q)
        assert found is not None
        assert lower <= found <= upper


def test_quantiles_by_hand():
    buckets = [(1.0, 10.0), (2.0, 30.0), (4.0, 40.0), (INF, 40.0)]
    assert quantile(buckets, 0.5) == 1.5  # the 20th of 40: the middle of those from 1 to 2
    assert quantile(buckets, 0.875) == 3.0
    assert quantile([(1.0, 0.0), (INF, 5.0)], 0.5) == 1.0  # told as the last finite bound
    assert quantile([], 0.5) is None
    assert quantile([(1.0, 0.0), (INF, 0.0)], 0.5) is None


def test_a_worker_that_began_anew_is_counted_from_nothing():
    assert since([(1.0, 3.0), (INF, 4.0)], [(1.0, 1.0), (INF, 1.0)]) == [(1.0, 2.0), (INF, 3.0)]
    assert since([(1.0, 3.0), (INF, 4.0)], [(1.0, 9.0), (INF, 9.0)]) == [(1.0, 3.0), (INF, 4.0)]


def test_rates_are_of_the_time_between_two_scrapes():
    before, now = Figures(records={("t",): 100.0}), Figures(records={("t",): 350.0})
    assert told(now, before, 2.0)["throughput"][0]["per_second"] == 125.0
    assert told(now, None, 0.0)["throughput"][0]["per_second"] is None
    again = Figures(records={("t",): 10.0})
    assert told(again, now, 2.0)["throughput"][0]["per_second"] == 5.0


def test_the_names_that_are_scraped_are_those_of_the_metrics():
    metrics.LAG.labels("scraped", "3").set(17)
    metrics.WATERMARK_DELAY.labels("scraped", "3").set(0.25)
    metrics.STALLED.labels("scraped", "3").set(1)
    metrics.RECORDS.labels("scraped").inc(5)
    metrics.LATE.labels("scraped").inc(2)
    metrics.DEAD.labels("scraped", "Malformed").inc()
    metrics.LATENCY.labels("scraped").observe(0.003)
    metrics.SINK_WAITING.labels("scraped").set(1)
    found = parse(generate_latest().decode())
    assert found.lag["scraped", "3"] == 17
    assert found.watermark_delay_s["scraped", "3"] == 0.25
    assert found.stalled["scraped", "3"] == 1
    assert found.records["scraped",] == 5
    assert found.late["scraped",] == 2
    assert found.dead["scraped", "Malformed"] == 1
    assert found.buckets("scraped")[-1] == (INF, 1.0)
    assert len(found.buckets("scraped")) == len(LATENCY_BUCKETS) + 1
    assert found.waiting["scraped",] == 1


def test_health_tells_workers_that_answer_and_those_that_do_not(redis_url):
    metrics.LAG.labels("health", "0").set(9)
    lifecycle = Lifecycle()
    lifecycle.opened.set()
    with serving_worker(0, lifecycle) as port:
        workers = (f"http://127.0.0.1:{port}", "http://127.0.0.1:1")
        with serving(settings(redis_url, workers=workers)) as client:
            found = client.get("/api/v1/health").json()
    up, down = found["workers"]
    assert (up["address"], up["live"], up["ready"]) == (workers[0], True, True)
    assert {"topic": "health", "partition": "0", "messages": 9.0} in up["lag"]
    assert down == {
        "address": workers[1],
        "live": False,
        "ready": False,
        "error": "ConnectError",
    }
    assert found["sources"]["redis"]["ok"] is True
    assert found["sources"]["postgres"] == {"ok": False}
    assert found["sources"]["kafka"] == {"ok": False}


def test_what_a_check_fails_with_is_logged_once(caplog):
    with serving(settings()) as client:
        for _ in range(3):
            assert client.get("/ready").status_code == 503
    said = [r.message for r in caplog.records if "does not answer its check" in r.message]
    assert said == ["redis does not answer its check: ConnectionError"]


def test_the_feed_has_metrics_of_its_own():
    with serving(settings()) as client:
        answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "headrace_feed_refused" in answer.text


def test_recordings_are_listed_and_what_is_none_says_so(tmp_path):
    directory = tmp_path / "recordings"
    directory.mkdir()
    sent = messages(closes(1, 3))
    recordings.write(directory / "closes.parquet", {"market.closes": 1}, sent)
    (directory / "other.parquet").write_bytes(b"nothing")
    (directory / "notes.txt").write_text("no recording")
    outside = tmp_path / "outside.parquet"
    recordings.write(outside, {"market.closes": 1}, sent)
    (directory / "link.parquet").symlink_to(outside)
    with serving(settings(recordings=directory)) as client:
        good, bad = client.get("/api/v1/recordings").json()["records"]
        assert good["name"] == "closes.parquet"
        assert good["topics"] == {"market.closes": {"partitions": 1, "messages": len(sent)}}
        assert good["messages"] == len(sent)
        assert good["first_ns"] == str(min(m.timestamp_ns for m in sent))
        assert bad == {"name": "other.parquet", "bytes": 7, "error": "it is no recording"}
        assert str(tmp_path) not in client.get("/api/v1/recordings").text
        (directory / "other.parquet").unlink()
        recordings.write(directory / "later.parquet", {"market.closes": 1}, sent)
        names = [r["name"] for r in client.get("/api/v1/recordings").json()["records"]]
        assert names == ["closes.parquet", "later.parquet"]
        expect_problem(client.get("/api/v1/recordings/..%2foutside.parquet"), 404)


def test_a_directory_that_is_not_there_has_no_recordings(tmp_path):
    with serving(settings(recordings=tmp_path / "none")) as client:
        assert client.get("/api/v1/recordings").json() == {"records": []}
