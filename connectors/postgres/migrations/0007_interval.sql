-- A risk figure says its interval: the bars of the settings, or a session.

ALTER TABLE market_risk ADD COLUMN interval text NOT NULL DEFAULT '';
DROP VIEW market_risk_current;
CREATE VIEW market_risk_current AS SELECT * FROM market_risk
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');
