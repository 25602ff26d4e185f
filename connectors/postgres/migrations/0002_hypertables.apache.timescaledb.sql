-- With TimescaleDB, under any of its licences: hypertables.

SELECT create_hypertable('market_bars', 'time',
    chunk_time_interval => interval '1 day', create_default_indexes => false);
SELECT create_hypertable('market_nbbo', 'time',
    chunk_time_interval => interval '1 day', create_default_indexes => false);
SELECT create_hypertable('market_risk', 'time',
    chunk_time_interval => interval '7 days', create_default_indexes => false);
SELECT create_hypertable('market_signals', 'time',
    chunk_time_interval => interval '30 days', create_default_indexes => false);
SELECT create_hypertable('market_gaps', 'time',
    chunk_time_interval => interval '30 days', create_default_indexes => false);
SELECT create_hypertable('market_late', 'time',
    chunk_time_interval => interval '30 days', create_default_indexes => false);
