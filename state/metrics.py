"""Every metric of a process (contract 8), in one place.

Latency figures belong to an epoch interval and a number of snapshot bytes, which
are metrics here too.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

LATENCY_BUCKETS = (
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10,
)  # fmt: skip
"""Seconds, from 100 µs."""

WORKER = Gauge("headrace_worker", "1: this is that worker of that flow", ["flow", "index"])
RECORDS = Counter("headrace_records", "Records decoded", ["topic"])
MESSAGES = Counter("headrace_messages", "Kafka messages consumed", ["topic"])
DEAD = Counter("headrace_dead", "Records set aside as dead letters", ["topic", "error"])
HEARTBEATS = Counter("headrace_heartbeats", "Records that tell the time alone", ["topic"])
KEPT = Counter("headrace_kept", "Records taken into the state", ["topic"])
LATE = Counter("headrace_late", "Records behind the watermark", ["topic"])
DUPLICATES = Counter("headrace_duplicates", "Records seen before", ["topic"])
UNPROVEN = Counter(
    "headrace_unproven",
    "Messages whose headers name coordinates without the mark of our tools",
    ["topic"],
)
OUTPUTS = Counter("headrace_outputs", "Records emitted", ["output"])
KAFKA_ERRORS = Counter("headrace_kafka_errors", "Errors met while consuming", ["error"])
COLUMNS = Gauge(
    "headrace_consumer_columns", "1 where messages are taken by column, 0 as objects", ["topic"]
)
LAG = Gauge("headrace_consumer_lag", "Messages not yet consumed", ["topic", "partition"])
WATERMARK_DELAY = Gauge(
    "headrace_watermark_delay_seconds", "Wall clock less the watermark", ["topic", "partition"]
)
STALLED = Gauge(
    "headrace_partition_stalled",
    "1 where this partition holds the others back",
    ["topic", "partition"],
)
LATENCY = Histogram(
    "headrace_latency_seconds",
    "Kafka timestamp to sent to the sink",
    ["sink"],
    buckets=LATENCY_BUCKETS,
)
EPOCH = Histogram(
    "headrace_epoch_seconds",
    "From one durable snapshot to the next",
    ["shard"],
    buckets=LATENCY_BUCKETS,
)
SNAPSHOT_BYTES = Histogram(
    "headrace_snapshot_bytes",
    "Bytes of one snapshot",
    ["step"],
    buckets=(1e3, 4e3, 16e3, 64e3, 256e3, 1e6, 4e6, 16e6, 64e6),
)
SINK_QUEUE = Gauge(
    "headrace_sink_queue_depth", "Records handed to a sink, not acknowledged", ["sink"]
)
SINK_WAITING = Gauge("headrace_sink_waiting", "1 while the flow waits for this sink", ["sink"])
CLOCK_BEHIND = Gauge(
    "headrace_clock_behind_seconds", "How far the wall clock is behind the latest time it has told"
)
REDIS_EVICTS = Gauge(
    "headrace_redis_evicts", "1 where the policy of Redis may drop what flows wrote"
)
UNANSWERED = Gauge("headrace_models_unanswered", "Requests for fits without an answer yet")
DAILY_WAITING = Gauge(
    "headrace_daily_waiting", "Session closes and events that wait for the answer of a fit"
)
MODEL_VALID = Gauge(
    "headrace_model_valid", "1 where the last risk figure of a portfolio was valid", ["scope"]
)
TRADING_DECISIONS = Counter(
    "headrace_trading_decisions", "Orders, cancels and fills decided on", ["decision", "reason"]
)
TRADING_CHANGES = Counter(
    "headrace_trading_changes", "Changes of the trading state of an account or of all", ["event"]
)
TRADING_ACCOUNTS = Gauge(
    "headrace_trading_accounts", "Accounts, * among them, at the last heartbeat", ["state"]
)
INGESTED = Counter(
    "headrace_ingest_messages",
    "Messages that a listener took in: stored, repeated, refused, unconfirmed or unanswered",
    ["listener", "outcome"],
)
INGEST_SECONDS = Histogram(
    "headrace_ingest_seconds",
    "From a message's last byte to its answer",
    ["listener"],
    buckets=LATENCY_BUCKETS,
)
INGEST_CONNECTIONS = Gauge("headrace_ingest_connections", "Connections of a listener", ["listener"])
INGEST_TURNED_AWAY = Counter(
    "headrace_ingest_turned_away",
    "Connections closed at once, for there were too many",
    ["listener"],
)
INGEST_NOISE = Counter(
    "headrace_ingest_noise_bytes", "Bytes outside of any message that say something", ["listener"]
)
FEED_COMMANDS = Counter(
    "headrace_feed_commands",
    "Requests to throw a kill switch or take it back",
    ["command", "status"],
)
FEED_CLIENTS = Gauge("headrace_feed_clients", "WebSocket clients connected")
FEED_SENT = Counter("headrace_feed_messages_sent", "Messages written to clients")
FEED_CONFLATED = Counter("headrace_feed_conflated", "Records left out for a newer one of their key")
FEED_SLOW = Counter("headrace_feed_disconnected_slow", "Clients disconnected as too slow")
FEED_REFUSED = Counter("headrace_feed_refused", "Requests refused", ["reason"])
FEED_AUDITED = Counter(
    "headrace_feed_audited",
    "Reads of secret outputs: given, ended, refused, or not answered as their audit was unwritten",
    ["outcome"],
)
FEED_BREAK_GLASS = Counter(
    "headrace_feed_break_glass", "Reads beyond a token's wards, with a reason", ["output"]
)
FEED_RESUMED = Counter(
    "headrace_feed_resumed",
    "Subscriptions that went on: from memory, from redis, or reset",
    ["how"],
)
FEED_SOURCE = Gauge("headrace_feed_source_ok", "1 while the source answers", ["source"])
FEED_NOTIFIED = Counter("headrace_feed_notified", "Notifications delivered", ["endpoint"])
FEED_NOTIFY_FAILED = Counter(
    "headrace_feed_notify_failed", "Attempts to notify that failed", ["endpoint", "reason"]
)
FEED_NOTIFY_DEAD = Counter("headrace_feed_notify_dead", "Notifications given up", ["endpoint"])
FEED_BREAKER = Gauge(
    "headrace_feed_breaker",
    "Breaker of an endpoint: 0 closed, 1 half-open, 2 open, 3 gone for good",
    ["endpoint"],
)
