-- Hourly bars from those of a minute, kept by TimescaleDB once they are a day old
-- (connectors/postgres/timescale.py), and computed when asked for until then.

CREATE MATERIALIZED VIEW market_bars_1h
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT
    generation,
    symbol,
    time_bucket(interval '1 hour', time) AS time,
    first(open, time) AS open,
    max(high) AS high,
    min(low) AS low,
    last(close, time) AS close,
    sum(volume) AS volume,
    sum(vwap * volume) / nullif(sum(volume), 0) AS vwap,
    sum(trades) AS trades
FROM market_bars
WHERE interval = '1m'
GROUP BY 1, 2, 3
WITH NO DATA;
