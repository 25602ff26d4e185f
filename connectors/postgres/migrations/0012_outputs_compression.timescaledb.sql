-- As in migration 5; the policies come from the settings (connectors/postgres/timescale.py).

ALTER TABLE market_features SET (timescaledb.compress,
    timescaledb.compress_segmentby = 'generation, symbol', timescaledb.compress_orderby = 'time, id');
ALTER TABLE market_bands SET (timescaledb.compress,
    timescaledb.compress_segmentby = 'generation, symbol', timescaledb.compress_orderby = 'time, id');
ALTER TABLE market_pnl SET (timescaledb.compress,
    timescaledb.compress_segmentby = 'generation, scope', timescaledb.compress_orderby = 'time, id');
ALTER TABLE market_backtest SET (timescaledb.compress,
    timescaledb.compress_segmentby = 'generation, scope', timescaledb.compress_orderby = 'time, id');
ALTER TABLE market_stress SET (timescaledb.compress,
    timescaledb.compress_segmentby = 'generation, scope', timescaledb.compress_orderby = 'time, id');
ALTER TABLE market_weights SET (timescaledb.compress,
    timescaledb.compress_segmentby = 'generation, scope', timescaledb.compress_orderby = 'time, id');
ALTER TABLE market_requests SET (timescaledb.compress,
    timescaledb.compress_segmentby = 'generation, scope', timescaledb.compress_orderby = 'time, id');
ALTER TABLE market_audit SET (timescaledb.compress,
    timescaledb.compress_segmentby = 'generation', timescaledb.compress_orderby = 'time, id');
ALTER TABLE trading_decisions SET (timescaledb.compress,
    timescaledb.compress_segmentby = 'generation, account', timescaledb.compress_orderby = 'time, id');
ALTER TABLE trading_state SET (timescaledb.compress,
    timescaledb.compress_segmentby = 'generation, account', timescaledb.compress_orderby = 'time, id');
ALTER TABLE trading_audit SET (timescaledb.compress,
    timescaledb.compress_segmentby = 'generation', timescaledb.compress_orderby = 'time, id');
