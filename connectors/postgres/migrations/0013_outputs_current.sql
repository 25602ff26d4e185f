-- As in migration 6: what readers use.

DROP VIEW market_risk_current;
CREATE VIEW market_risk_current AS SELECT * FROM market_risk
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');
CREATE VIEW market_features_current AS SELECT * FROM market_features
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');
CREATE VIEW market_bands_current AS SELECT * FROM market_bands
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');
CREATE VIEW market_pnl_current AS SELECT * FROM market_pnl
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');
CREATE VIEW market_backtest_current AS SELECT * FROM market_backtest
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');
CREATE VIEW market_stress_current AS SELECT * FROM market_stress
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');
CREATE VIEW market_weights_current AS SELECT * FROM market_weights
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');
CREATE VIEW market_requests_current AS SELECT * FROM market_requests
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');
CREATE VIEW market_audit_current AS SELECT * FROM market_audit
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');
CREATE VIEW trading_decisions_current AS SELECT * FROM trading_decisions
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'trading');
CREATE VIEW trading_state_current AS SELECT * FROM trading_state
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'trading');
CREATE VIEW trading_audit_current AS SELECT * FROM trading_audit
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'trading');
