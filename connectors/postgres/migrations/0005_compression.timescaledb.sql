-- Chunks are stored by column once they are old enough; the policies that say when come from
-- the settings (connectors/postgres/timescale.py).

ALTER TABLE market_bars SET (timescaledb.compress,
    timescaledb.compress_segmentby = 'generation, symbol', timescaledb.compress_orderby = 'time, id');
ALTER TABLE market_nbbo SET (timescaledb.compress,
    timescaledb.compress_segmentby = 'generation, symbol', timescaledb.compress_orderby = 'time, id');
ALTER TABLE market_risk SET (timescaledb.compress,
    timescaledb.compress_segmentby = 'generation, scope', timescaledb.compress_orderby = 'time, id');
ALTER TABLE market_signals SET (timescaledb.compress,
    timescaledb.compress_segmentby = 'generation, scope', timescaledb.compress_orderby = 'time, id');
ALTER TABLE market_gaps SET (timescaledb.compress,
    timescaledb.compress_segmentby = 'generation, symbol', timescaledb.compress_orderby = 'time, id');
ALTER TABLE market_late SET (timescaledb.compress,
    timescaledb.compress_segmentby = 'generation, symbol', timescaledb.compress_orderby = 'time, id');
