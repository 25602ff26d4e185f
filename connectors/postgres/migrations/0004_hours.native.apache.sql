-- Hourly bars from those of a minute, computed when asked for.

CREATE VIEW market_bars_1h AS
SELECT
    generation,
    symbol,
    date_bin(interval '1 hour', time, timestamptz 'epoch') AS time,
    (array_agg(open ORDER BY time))[1] AS open,
    max(high) AS high,
    min(low) AS low,
    (array_agg(close ORDER BY time DESC))[1] AS close,
    sum(volume) AS volume,
    sum(vwap * volume) / nullif(sum(volume), 0) AS vwap,
    sum(trades) AS trades
FROM market_bars
WHERE interval = '1m'
GROUP BY 1, 2, 3;
