-- A table for each output that had none, and what daily risk records may hold besides.
--
-- What is json, not jsonb, is kept to the letter: the hashes of an audit are over it.

INSERT INTO headrace_generations VALUES ('trading', 1) ON CONFLICT DO NOTHING;

ALTER TABLE market_risk ADD COLUMN marginal jsonb;
ALTER TABLE market_risk ADD COLUMN incremental jsonb;

CREATE TABLE market_features (
    generation integer NOT NULL,
    time timestamptz NOT NULL,
    id text NOT NULL,
    ts_ns bigint NOT NULL,
    symbol text NOT NULL,
    kind text NOT NULL,
    value double precision NOT NULL,
    details json NOT NULL
);

CREATE TABLE market_bands (
    generation integer NOT NULL,
    time timestamptz NOT NULL,
    id text NOT NULL,
    ts_ns bigint NOT NULL,
    symbol text NOT NULL,
    reference double precision,
    lower double precision,
    upper double precision,
    state text NOT NULL
);

CREATE TABLE market_pnl (
    generation integer NOT NULL,
    time timestamptz NOT NULL,
    id text NOT NULL,
    ts_ns bigint NOT NULL,
    scope text NOT NULL,
    "return" double precision NOT NULL,
    pnl double precision NOT NULL,
    value double precision NOT NULL,
    exceptions json NOT NULL
);

CREATE TABLE market_backtest (
    generation integer NOT NULL,
    time timestamptz NOT NULL,
    id text NOT NULL,
    ts_ns bigint NOT NULL,
    scope text NOT NULL,
    method text NOT NULL,
    confidence double precision NOT NULL,
    observations bigint NOT NULL,
    exceptions bigint NOT NULL,
    kupiec_lr double precision NOT NULL,
    kupiec_p double precision NOT NULL,
    christoffersen_lr double precision NOT NULL,
    christoffersen_p double precision NOT NULL,
    conditional_lr double precision NOT NULL,
    conditional_p double precision NOT NULL,
    zone text NOT NULL,
    acerbi_szekely double precision NOT NULL
);

CREATE TABLE market_stress (
    generation integer NOT NULL,
    time timestamptz NOT NULL,
    id text NOT NULL,
    ts_ns bigint NOT NULL,
    scope text NOT NULL,
    scenario text NOT NULL,
    "return" double precision NOT NULL,
    pnl double precision NOT NULL
);

CREATE TABLE market_weights (
    generation integer NOT NULL,
    time timestamptz NOT NULL,
    id text NOT NULL,
    ts_ns bigint NOT NULL,
    scope text NOT NULL,
    objective text NOT NULL,
    weights jsonb NOT NULL,
    stale boolean NOT NULL,
    reason text NOT NULL,
    solver text NOT NULL,
    model text NOT NULL
);

CREATE TABLE market_requests (
    generation integer NOT NULL,
    time timestamptz NOT NULL,
    id text NOT NULL,
    ts_ns bigint NOT NULL,
    counts_from_ns bigint NOT NULL,
    model text NOT NULL,
    scope text NOT NULL,
    input json NOT NULL
);

CREATE TABLE market_audit (
    generation integer NOT NULL,
    time timestamptz NOT NULL,
    id text NOT NULL,
    ts_ns bigint NOT NULL,
    chain text NOT NULL,
    number bigint NOT NULL,
    what json NOT NULL,
    previous text NOT NULL,
    hash text NOT NULL
);

CREATE TABLE trading_decisions (
    generation integer NOT NULL,
    time timestamptz NOT NULL,
    id text NOT NULL,
    ts_ns bigint NOT NULL,
    account text,
    order_id text NOT NULL,
    kind text NOT NULL,
    decision text NOT NULL,
    reason text NOT NULL,
    code bigint NOT NULL,
    state text NOT NULL,
    state_source text,
    mark double precision,
    mark_source text,
    band_source text,
    limits_source text,
    "position" double precision,
    sequenced text NOT NULL
);

CREATE TABLE trading_state (
    generation integer NOT NULL,
    time timestamptz NOT NULL,
    id text NOT NULL,
    ts_ns bigint NOT NULL,
    account text NOT NULL,
    state text NOT NULL,
    event text NOT NULL,
    cause text,
    reason text NOT NULL,
    source text,
    sequenced text NOT NULL
);

CREATE TABLE trading_audit (
    generation integer NOT NULL,
    time timestamptz NOT NULL,
    id text NOT NULL,
    ts_ns bigint NOT NULL,
    chain text NOT NULL,
    number bigint NOT NULL,
    what json NOT NULL,
    previous text NOT NULL,
    hash text NOT NULL
);
