-- What readers use: the current generation alone. Changing headrace_generations switches
-- all of them at once.

CREATE VIEW market_bars_current AS SELECT * FROM market_bars
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');
CREATE VIEW market_bars_1h_current AS SELECT * FROM market_bars_1h
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');
CREATE VIEW market_nbbo_current AS SELECT * FROM market_nbbo
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');
CREATE VIEW market_risk_current AS SELECT * FROM market_risk
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');
CREATE VIEW market_signals_current AS SELECT * FROM market_signals
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');
CREATE VIEW market_gaps_current AS SELECT * FROM market_gaps
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');
CREATE VIEW market_late_current AS SELECT * FROM market_late
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');
