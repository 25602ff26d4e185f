-- What a portfolio is worth with its cash; NULL in rows written before this migration.

ALTER TABLE market_pnl ADD COLUMN equity double precision;

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
