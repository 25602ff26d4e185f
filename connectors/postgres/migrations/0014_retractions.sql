-- What takes a key away, and which word about a key is the newest.
--
-- counter is the place of a record among all of its output and origin, NULL in rows written before
-- this migration. headrace_retractions holds the records that take a key away: the rows of the key
-- stay, as what was, and ..._latest no longer shows them. sealed and key_id are those of a secret
-- output. Its index holds a table key of at most 2,000 bytes.

CREATE TABLE headrace_retractions (
    generation integer NOT NULL,
    output text NOT NULL,
    time timestamptz NOT NULL,
    id text NOT NULL,
    key text NOT NULL,
    ts_ns bigint NOT NULL,
    counter bigint NOT NULL,
    key_id text,
    sealed text,
    PRIMARY KEY (generation, output, time, id)
);
CREATE INDEX headrace_retractions_key ON headrace_retractions (generation, output, key, counter);

CREATE TABLE headrace_tables (
    name text PRIMARY KEY,
    layout text NOT NULL,
    statements text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE headrace_tables IS 'the tables that were made from an output''s declaration';

ALTER TABLE market_bars ADD COLUMN counter bigint;
ALTER TABLE market_nbbo ADD COLUMN counter bigint;
ALTER TABLE market_risk ADD COLUMN counter bigint;
ALTER TABLE market_signals ADD COLUMN counter bigint;
ALTER TABLE market_features ADD COLUMN counter bigint;
ALTER TABLE market_bands ADD COLUMN counter bigint;
ALTER TABLE market_pnl ADD COLUMN counter bigint;
ALTER TABLE market_backtest ADD COLUMN counter bigint;
ALTER TABLE market_stress ADD COLUMN counter bigint;
ALTER TABLE market_weights ADD COLUMN counter bigint;
ALTER TABLE market_requests ADD COLUMN counter bigint;
ALTER TABLE market_audit ADD COLUMN counter bigint;
ALTER TABLE market_gaps ADD COLUMN counter bigint;
ALTER TABLE market_late ADD COLUMN counter bigint;
ALTER TABLE trading_decisions ADD COLUMN counter bigint;
ALTER TABLE trading_state ADD COLUMN counter bigint;
ALTER TABLE trading_audit ADD COLUMN counter bigint;

CREATE OR REPLACE VIEW market_bars_current AS
SELECT * FROM market_bars
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');

CREATE OR REPLACE VIEW market_bars_latest AS
SELECT last.* FROM (
    SELECT DISTINCT ON (symbol, interval) * FROM market_bars_current
    ORDER BY symbol, interval, counter DESC NULLS LAST, time DESC, id DESC
) last
WHERE NOT EXISTS (
    SELECT FROM headrace_retractions gone
    WHERE gone.generation = last.generation AND gone.output = 'market.bars'
    AND gone.key = last.symbol || '|' || last.interval AND gone.counter > coalesce(last.counter, 0)
);

CREATE OR REPLACE VIEW market_nbbo_current AS
SELECT * FROM market_nbbo
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');

CREATE OR REPLACE VIEW market_nbbo_latest AS
SELECT last.* FROM (
    SELECT DISTINCT ON (symbol) * FROM market_nbbo_current
    ORDER BY symbol, counter DESC NULLS LAST, time DESC, id DESC
) last
WHERE NOT EXISTS (
    SELECT FROM headrace_retractions gone
    WHERE gone.generation = last.generation AND gone.output = 'market.nbbo'
    AND gone.key = last.symbol AND gone.counter > coalesce(last.counter, 0)
);

CREATE OR REPLACE VIEW market_risk_current AS
SELECT * FROM market_risk
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');

CREATE OR REPLACE VIEW market_risk_latest AS
SELECT last.* FROM (
    SELECT DISTINCT ON (scope, method, interval, confidence, horizon) * FROM market_risk_current
    ORDER BY scope, method, interval, confidence, horizon, counter DESC NULLS LAST, time DESC, id DESC
) last
WHERE NOT EXISTS (
    SELECT FROM headrace_retractions gone
    WHERE gone.generation = last.generation AND gone.output = 'market.risk'
    AND gone.key = last.scope || '|' || last.method || '|' || last.interval || '|' || CASE WHEN last.confidence = trunc(last.confidence) AND abs(last.confidence) < 1e16 THEN last.confidence::bigint || '.0' ELSE last.confidence::text END || '|' || last.horizon::text AND gone.counter > coalesce(last.counter, 0)
);

CREATE OR REPLACE VIEW market_signals_current AS
SELECT * FROM market_signals
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');

CREATE OR REPLACE VIEW market_features_current AS
SELECT * FROM market_features
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');

CREATE OR REPLACE VIEW market_features_latest AS
SELECT last.* FROM (
    SELECT DISTINCT ON (symbol, kind) * FROM market_features_current
    ORDER BY symbol, kind, counter DESC NULLS LAST, time DESC, id DESC
) last
WHERE NOT EXISTS (
    SELECT FROM headrace_retractions gone
    WHERE gone.generation = last.generation AND gone.output = 'market.features'
    AND gone.key = last.symbol || '|' || last.kind AND gone.counter > coalesce(last.counter, 0)
);

CREATE OR REPLACE VIEW market_bands_current AS
SELECT * FROM market_bands
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');

CREATE OR REPLACE VIEW market_bands_latest AS
SELECT last.* FROM (
    SELECT DISTINCT ON (symbol) * FROM market_bands_current
    ORDER BY symbol, counter DESC NULLS LAST, time DESC, id DESC
) last
WHERE NOT EXISTS (
    SELECT FROM headrace_retractions gone
    WHERE gone.generation = last.generation AND gone.output = 'market.bands'
    AND gone.key = last.symbol AND gone.counter > coalesce(last.counter, 0)
);

CREATE OR REPLACE VIEW market_pnl_current AS
SELECT * FROM market_pnl
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');

CREATE OR REPLACE VIEW market_pnl_latest AS
SELECT last.* FROM (
    SELECT DISTINCT ON (scope) * FROM market_pnl_current
    ORDER BY scope, counter DESC NULLS LAST, time DESC, id DESC
) last
WHERE NOT EXISTS (
    SELECT FROM headrace_retractions gone
    WHERE gone.generation = last.generation AND gone.output = 'market.pnl'
    AND gone.key = last.scope AND gone.counter > coalesce(last.counter, 0)
);

CREATE OR REPLACE VIEW market_backtest_current AS
SELECT * FROM market_backtest
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');

CREATE OR REPLACE VIEW market_backtest_latest AS
SELECT last.* FROM (
    SELECT DISTINCT ON (scope, method, confidence) * FROM market_backtest_current
    ORDER BY scope, method, confidence, counter DESC NULLS LAST, time DESC, id DESC
) last
WHERE NOT EXISTS (
    SELECT FROM headrace_retractions gone
    WHERE gone.generation = last.generation AND gone.output = 'market.backtest'
    AND gone.key = last.scope || '|' || last.method || '|' || CASE WHEN last.confidence = trunc(last.confidence) AND abs(last.confidence) < 1e16 THEN last.confidence::bigint || '.0' ELSE last.confidence::text END AND gone.counter > coalesce(last.counter, 0)
);

CREATE OR REPLACE VIEW market_stress_current AS
SELECT * FROM market_stress
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');

CREATE OR REPLACE VIEW market_stress_latest AS
SELECT last.* FROM (
    SELECT DISTINCT ON (scope, scenario) * FROM market_stress_current
    ORDER BY scope, scenario, counter DESC NULLS LAST, time DESC, id DESC
) last
WHERE NOT EXISTS (
    SELECT FROM headrace_retractions gone
    WHERE gone.generation = last.generation AND gone.output = 'market.stress'
    AND gone.key = last.scope || '|' || last.scenario AND gone.counter > coalesce(last.counter, 0)
);

CREATE OR REPLACE VIEW market_weights_current AS
SELECT * FROM market_weights
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');

CREATE OR REPLACE VIEW market_weights_latest AS
SELECT last.* FROM (
    SELECT DISTINCT ON (scope) * FROM market_weights_current
    ORDER BY scope, counter DESC NULLS LAST, time DESC, id DESC
) last
WHERE NOT EXISTS (
    SELECT FROM headrace_retractions gone
    WHERE gone.generation = last.generation AND gone.output = 'market.weights'
    AND gone.key = last.scope AND gone.counter > coalesce(last.counter, 0)
);

CREATE OR REPLACE VIEW market_requests_current AS
SELECT * FROM market_requests
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');

CREATE OR REPLACE VIEW market_audit_current AS
SELECT * FROM market_audit
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');

CREATE OR REPLACE VIEW market_gaps_current AS
SELECT * FROM market_gaps
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');

CREATE OR REPLACE VIEW market_late_current AS
SELECT * FROM market_late
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');

CREATE OR REPLACE VIEW trading_decisions_current AS
SELECT * FROM trading_decisions
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'trading');

CREATE OR REPLACE VIEW trading_state_current AS
SELECT * FROM trading_state
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'trading');

CREATE OR REPLACE VIEW trading_state_latest AS
SELECT last.* FROM (
    SELECT DISTINCT ON (account) * FROM trading_state_current
    ORDER BY account, counter DESC NULLS LAST, time DESC, id DESC
) last
WHERE NOT EXISTS (
    SELECT FROM headrace_retractions gone
    WHERE gone.generation = last.generation AND gone.output = 'trading.state'
    AND gone.key = last.account AND gone.counter > coalesce(last.counter, 0)
);

CREATE OR REPLACE VIEW trading_audit_current AS
SELECT * FROM trading_audit
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'trading');
