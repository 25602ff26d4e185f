-- Without TimescaleDB: tables partitioned by time. The sink makes the partitions that its
-- rows need and drops those past the retention (connectors/postgres/keeping.py).

DO $$
DECLARE
    plain text;
BEGIN
    FOREACH plain IN ARRAY ARRAY[
        'market_bars', 'market_nbbo', 'market_risk', 'market_signals', 'market_gaps', 'market_late'
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
