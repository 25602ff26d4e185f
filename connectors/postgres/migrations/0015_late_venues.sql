-- Late ticks name their venue; NULL in rows written before this migration.

ALTER TABLE market_late ADD COLUMN venue text;

CREATE OR REPLACE VIEW market_late_current AS
SELECT * FROM market_late
WHERE generation = (SELECT current FROM headrace_generations WHERE system = 'market');
