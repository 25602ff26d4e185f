-- The identity of a row, which makes every insert idempotent, and the usual question:
-- this symbol or scope, from then to then.

CREATE UNIQUE INDEX market_bars_identity ON market_bars (generation, time, id);
CREATE UNIQUE INDEX market_nbbo_identity ON market_nbbo (generation, time, id);
CREATE UNIQUE INDEX market_risk_identity ON market_risk (generation, time, id);
CREATE UNIQUE INDEX market_signals_identity ON market_signals (generation, time, id);
CREATE UNIQUE INDEX market_gaps_identity ON market_gaps (generation, time, id);
CREATE UNIQUE INDEX market_late_identity ON market_late (generation, time, id);

CREATE INDEX market_bars_symbol ON market_bars (symbol, time);
CREATE INDEX market_nbbo_symbol ON market_nbbo (symbol, time);
CREATE INDEX market_risk_scope ON market_risk (scope, time);
CREATE INDEX market_signals_scope ON market_signals (scope, time);
CREATE INDEX market_gaps_symbol ON market_gaps (symbol, time);
CREATE INDEX market_late_symbol ON market_late (symbol, time);
