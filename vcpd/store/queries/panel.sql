-- name: newest_session
SELECT max(newest.session)
FROM unnest($1::integer[]) AS given (id)
CROSS JOIN LATERAL (
    SELECT session FROM bars WHERE instrument_id = given.id ORDER BY session DESC LIMIT 1
) AS newest;

-- name: bars_since
SELECT bars.instrument_id, bars.session, bars.open, bars.high, bars.low, bars.close, bars.volume,
       bars.provisional
FROM unnest($1::integer[]) AS given (id)
CROSS JOIN LATERAL (
    SELECT *
    FROM bars
    WHERE bars.instrument_id = given.id AND bars.session >= $2
    OFFSET 0 -- one index range an instrument, whatever the statistics say
) AS bars;

-- name: hold_still
LOCK TABLE bars IN SHARE MODE;

-- name: exclusions
SELECT symbol, string_agg(reason, '; ' ORDER BY session DESC, rule) AS reason
FROM flags
WHERE excludes
GROUP BY symbol;
