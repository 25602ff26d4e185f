-- With TimescaleDB, under any of its licences: hypertables.

SELECT create_hypertable('market_features', 'time',
    chunk_time_interval => interval '1 day', create_default_indexes => false);
SELECT create_hypertable('market_bands', 'time',
    chunk_time_interval => interval '7 days', create_default_indexes => false);
SELECT create_hypertable('market_pnl', 'time',
    chunk_time_interval => interval '30 days', create_default_indexes => false);
SELECT create_hypertable('market_backtest', 'time',
    chunk_time_interval => interval '30 days', create_default_indexes => false);
SELECT create_hypertable('market_stress', 'time',
    chunk_time_interval => interval '30 days', create_default_indexes => false);
SELECT create_hypertable('market_weights', 'time',
    chunk_time_interval => interval '30 days', create_default_indexes => false);
SELECT create_hypertable('market_requests', 'time',
    chunk_time_interval => interval '30 days', create_default_indexes => false);
SELECT create_hypertable('market_audit', 'time',
    chunk_time_interval => interval '30 days', create_default_indexes => false);
SELECT create_hypertable('trading_decisions', 'time',
    chunk_time_interval => interval '1 day', create_default_indexes => false);
SELECT create_hypertable('trading_state', 'time',
    chunk_time_interval => interval '30 days', create_default_indexes => false);
SELECT create_hypertable('trading_audit', 'time',
    chunk_time_interval => interval '30 days', create_default_indexes => false);
