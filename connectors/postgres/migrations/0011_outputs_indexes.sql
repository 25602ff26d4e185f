-- As in migration 3: the identity of a row, and this symbol, portfolio or account, from then to then.

CREATE UNIQUE INDEX market_features_identity ON market_features (generation, time, id);
CREATE UNIQUE INDEX market_bands_identity ON market_bands (generation, time, id);
CREATE UNIQUE INDEX market_pnl_identity ON market_pnl (generation, time, id);
CREATE UNIQUE INDEX market_backtest_identity ON market_backtest (generation, time, id);
CREATE UNIQUE INDEX market_stress_identity ON market_stress (generation, time, id);
CREATE UNIQUE INDEX market_weights_identity ON market_weights (generation, time, id);
CREATE UNIQUE INDEX market_requests_identity ON market_requests (generation, time, id);
CREATE UNIQUE INDEX market_audit_identity ON market_audit (generation, time, id);
CREATE UNIQUE INDEX trading_decisions_identity ON trading_decisions (generation, time, id);
CREATE UNIQUE INDEX trading_state_identity ON trading_state (generation, time, id);
CREATE UNIQUE INDEX trading_audit_identity ON trading_audit (generation, time, id);

CREATE INDEX market_features_symbol ON market_features (symbol, time);
CREATE INDEX market_bands_symbol ON market_bands (symbol, time);
CREATE INDEX market_pnl_scope ON market_pnl (scope, time);
CREATE INDEX market_backtest_scope ON market_backtest (scope, time);
CREATE INDEX market_stress_scope ON market_stress (scope, time);
CREATE INDEX market_weights_scope ON market_weights (scope, time);
CREATE INDEX market_requests_scope ON market_requests (scope, time);
CREATE INDEX trading_decisions_account ON trading_decisions (account, time);
CREATE INDEX trading_state_account ON trading_state (account, time);
