"""The benchmark of the feed in its small form."""

from __future__ import annotations

from benchmarks.web.gateway import measure
from benchmarks.web.readers import SUBSCRIBED, TOKEN


def test_both_servers_deliver_every_message():
    # A token that fits into what is kept of the chunk before would be counted twice.
    assert len(SUBSCRIBED) == len(TOKEN)
    for trial in measure(clients=50, rate=100, seconds=2):
        # Of each update a tenth of the clients gets one message.
        assert 0.9 * 2 * 100 * 5 < trial.messages < 1.3 * 2 * 100 * 5
        assert 0.0 < trial.p50_ms <= trial.p99_ms
        assert trial.cpu_s > 0.0
