-- name: last_before
SELECT max(session) FROM market_regimes WHERE session < $1;

-- name: texts_until
SELECT regime FROM (
    SELECT session, regime FROM market_regimes WHERE session <= $1 ORDER BY session DESC LIMIT $2
) AS newest
ORDER BY session;

-- name: put
INSERT INTO market_regimes (session, term, regime, sectors, setup_sessions)
SELECT session, term, regime::jsonb, sectors::jsonb, $5
FROM unnest($1::date[], $2::text[], $3::text[], $4::text[]) AS given (session, term, regime, sectors)
ON CONFLICT (session) DO UPDATE
SET term = excluded.term, regime = excluded.regime, sectors = excluded.sectors,
    setup_sessions = excluded.setup_sessions;

-- name: count_setups
-- Bases that rose beyond their buy zone, and bases that failed, in the last screened sessions up to $1; nothing
-- where $1 was not screened, or has no regime yet.
WITH span AS (
    SELECT min(session) AS first
    FROM (
        SELECT session FROM screened_sessions
        WHERE session <= $1
        ORDER BY session DESC
        LIMIT (SELECT setup_sessions FROM market_regimes WHERE session = $1)
    ) AS newest
), counted AS (
    SELECT count(DISTINCT base_id) FILTER (WHERE kind = 'extended') AS worked,
           count(DISTINCT base_id) FILTER (WHERE kind = 'failed') AS failed
    FROM setup_events, span
    WHERE session BETWEEN span.first AND $1 AND NOT provisional
)
UPDATE market_regimes
SET setups_worked = counted.worked, setups_failed = counted.failed
FROM counted
WHERE market_regimes.session = $1 AND market_regimes.setup_sessions IS NOT NULL
  AND EXISTS (SELECT FROM screened_sessions WHERE screened_sessions.session = $1);

-- name: regimes
SELECT regime || jsonb_build_object('setups_worked', setups_worked, 'setups_failed', setups_failed) AS regime
FROM (
    SELECT * FROM market_regimes
    WHERE $1::date IS NULL OR session <= $1
    ORDER BY session DESC
    LIMIT $2
) AS newest
ORDER BY session;

-- name: sectors
SELECT session, sectors FROM market_regimes
WHERE ($1::date IS NULL OR session <= $1) AND sectors <> '[]'::jsonb
ORDER BY session DESC
LIMIT 1;

-- name: market_context
-- The sector of the company $2, and what the market did at most a week before $1 or on it; NULL where unknown.
WITH
-- include: market_contexts
SELECT company.sector, contexts.context
FROM (SELECT 1) AS always
LEFT JOIN instruments AS company ON company.symbol = $2
LEFT JOIN contexts ON contexts.instrument_id IS NOT DISTINCT FROM company.id;

-- name: sector_history
SELECT regimes.session, rank ->> 'sector' AS sector, (rank ->> 'rank')::integer AS rank
FROM (
    SELECT session, sectors FROM market_regimes
    WHERE $1::date IS NULL OR session <= $1
    ORDER BY session DESC
    LIMIT $2
) AS regimes, jsonb_array_elements(regimes.sectors) AS rank
WHERE coalesce(rank ->> 'level', 'sector') = $3
ORDER BY regimes.session, sector;
