-- name: nth_newest_session
SELECT session
FROM bars
WHERE instrument_id = $1 AND session <= $2
ORDER BY session DESC
OFFSET $3 - 1 LIMIT 1;

-- name: newest_session
SELECT max(newest.session)
FROM unnest($1::integer[]) AS given (id)
CROSS JOIN LATERAL (
    SELECT session FROM bars WHERE instrument_id = given.id ORDER BY session DESC LIMIT 1
) AS newest;

-- name: pages
SELECT pg_relation_size('bars') / current_setting('block_size')::bigint;

-- name: bars_of_instruments
SELECT instrument_id, session, open, high, low, close, volume, provisional
FROM bars
WHERE instrument_id = ANY ($1::integer[]) AND session >= $2;

-- name: bars_of_pages
SELECT instrument_id, session, open, high, low, close, volume, provisional
FROM bars
WHERE instrument_id = ANY ($1::integer[]) AND session >= $2
  AND ctid >= $3::tid AND ctid < $4::tid;

-- name: lock_bars_for_reading
LOCK TABLE bars IN SHARE MODE;

-- name: exclusions
SELECT symbol, string_agg(reason, '; ' ORDER BY session DESC, rule) AS reason
FROM flags
WHERE excludes
GROUP BY symbol;
