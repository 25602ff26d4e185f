-- Without TimescaleDB: tables partitioned by time, as in migration 2.

DO $$
DECLARE
    plain text;
BEGIN
    FOREACH plain IN ARRAY ARRAY[
        'market_features', 'market_bands', 'market_pnl', 'market_backtest',
        'market_stress', 'market_weights', 'market_requests', 'market_audit',
        'trading_decisions', 'trading_state', 'trading_audit'
    ] LOOP
        EXECUTE format('ALTER TABLE %I RENAME TO %I', plain, plain || '_plain');
        EXECUTE format(
            'CREATE TABLE %I (LIKE %I INCLUDING ALL) PARTITION BY RANGE (time)',
            plain, plain || '_plain'
        );
        EXECUTE format('DROP TABLE %I', plain || '_plain');
    END LOOP;
END
$$;
