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

-- name: newest_change
SELECT number, token::text AS token FROM bar_changes ORDER BY number DESC LIMIT 1;

-- name: is_change_known
-- Whether the change is one of this store's, and all later ones name their instruments.
-- Of changes as old as those that are deleted, some later ones may be gone already.
SELECT EXISTS (SELECT FROM bar_changes WHERE number = $1 AND token = $2::text::uuid)
   AND $1 >= (SELECT max(number) - 10000 FROM bar_changes)
   AND NOT EXISTS (SELECT FROM bar_changes WHERE number > $1 AND instrument_ids IS NULL);

-- name: changed_since
SELECT instrument_id, min(first) AS first
FROM bar_changes
CROSS JOIN unnest(instrument_ids) AS instrument_id
WHERE number > $1
GROUP BY instrument_id;

-- name: bars_since
-- OFFSET 0: one look into the index for each instrument, whatever the statistics say.
SELECT instrument_id, session, open, high, low, close, volume, provisional
FROM unnest($1::integer[], $2::date[]) AS changed (id, first)
CROSS JOIN LATERAL (
    SELECT * FROM bars WHERE instrument_id = changed.id AND session >= changed.first OFFSET 0
) AS later;
