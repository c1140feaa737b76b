-- What the market did at most a week before the session $1 or on it, beside each instrument: `contexts`;
-- the row without an instrument is that of a company that no list names.
market AS (
    SELECT session, term, regime ->> 'since' AS since, sectors
    FROM market_regimes
    WHERE session <= $1 AND session > $1 - 7
    ORDER BY session DESC
    LIMIT 1
), ranks AS (
    SELECT coalesce(entry ->> 'level', 'sector') AS level, entry ->> 'sector' AS name, entry -> 'rank' AS rank,
           entry -> 'quadrant' AS quadrant
    FROM market, jsonb_array_elements(market.sectors) AS entry
), counted AS (
    SELECT count(*) FILTER (WHERE level = 'sector') AS sectors,
           count(*) FILTER (WHERE level = 'industry') AS industries
    FROM ranks
    WHERE rank <> 'null'
), companies AS (
    SELECT id, sector, industry FROM instruments
    UNION ALL
    SELECT NULL, NULL, NULL
), contexts AS (
    SELECT companies.id AS instrument_id,
           jsonb_strip_nulls(jsonb_build_object(
               'session', market.session,
               'term', market.term,
               'since', market.since,
               'sector_rank', sector.rank,
               'sectors_ranked', counted.sectors,
               'sector_quadrant', sector.quadrant,
               'industry', companies.industry,
               'industry_rank', industry.rank,
               'industries_ranked', counted.industries
           )) AS context
    FROM market
    CROSS JOIN counted
    CROSS JOIN companies
    LEFT JOIN ranks AS sector ON sector.level = 'sector' AND sector.name = companies.sector
    LEFT JOIN ranks AS industry ON industry.level = 'industry' AND industry.name = companies.industry
)
