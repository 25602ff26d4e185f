-- What the history flow writes: one table for each output of market.
--
-- generation, time and the id identify a row. time is the microsecond of the exact
-- event time beside it (..._ns, nanoseconds since 1970 UTC), so that one id has one time.

CREATE TABLE headrace_generations (
    system text PRIMARY KEY,
    current integer NOT NULL CHECK (current > 0)
);
COMMENT ON TABLE headrace_generations IS 'the generation that the ..._current views show';
INSERT INTO headrace_generations VALUES ('market', 1);

CREATE TABLE market_bars (
    generation integer NOT NULL,
    time timestamptz NOT NULL,
    id text NOT NULL,
    symbol text NOT NULL,
    interval text NOT NULL,
    start_ns bigint NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    vwap double precision NOT NULL,
    trades bigint NOT NULL
);

CREATE TABLE market_nbbo (
    generation integer NOT NULL,
    time timestamptz NOT NULL,
    id text NOT NULL,
    symbol text NOT NULL,
    ts_ns bigint NOT NULL,
    bid double precision,
    bid_size double precision,
    ask double precision,
    ask_size double precision
);

CREATE TABLE market_risk (
    generation integer NOT NULL,
    time timestamptz NOT NULL,
    id text NOT NULL,
    ts_ns bigint NOT NULL,
    scope text NOT NULL,
    method text NOT NULL,
    confidence double precision NOT NULL,
    horizon bigint NOT NULL,
    var double precision,
    es double precision,
    components jsonb,
    valid boolean NOT NULL
);

CREATE TABLE market_signals (
    generation integer NOT NULL,
    time timestamptz NOT NULL,
    id text NOT NULL,
    ts_ns bigint NOT NULL,
    scope text NOT NULL,
    kind text NOT NULL,
    method text NOT NULL,
    value double precision NOT NULL,
    threshold double precision NOT NULL
);

CREATE TABLE market_gaps (
    generation integer NOT NULL,
    time timestamptz NOT NULL,
    id text NOT NULL,
    ts_ns bigint NOT NULL,
    symbol text NOT NULL,
    venue text NOT NULL,
    type text NOT NULL,
    first_missing bigint NOT NULL,
    last_missing bigint NOT NULL,
    count bigint NOT NULL
);

CREATE TABLE market_late (
    generation integer NOT NULL,
    time timestamptz NOT NULL,
    id text NOT NULL,
    ts_ns bigint NOT NULL,
    topic text NOT NULL,
    partition bigint NOT NULL,
    "offset" bigint NOT NULL,
    sequence bigint NOT NULL,
    symbol text NOT NULL,
    type text NOT NULL,
    watermark_ns bigint NOT NULL,
    reason text NOT NULL
);
