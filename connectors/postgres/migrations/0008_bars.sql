-- Bars of a symbol by time, whatever their interval, and those of one interval: the index knows it,
-- so the minutes among the seconds are found without a look at the rows of seconds.

DROP INDEX market_bars_symbol;
CREATE INDEX market_bars_symbol ON market_bars (generation, symbol, time, interval);
