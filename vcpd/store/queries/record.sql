-- name: lock
SELECT pg_advisory_xact_lock($1);

-- name: newest
SELECT number, hash FROM reported_setups ORDER BY number DESC LIMIT 1;

-- name: newest_of_session
SELECT DISTINCT ON (instrument_id) instrument_id, entry
FROM reported_setups
WHERE session = $1
ORDER BY instrument_id, number DESC;

-- name: append
INSERT INTO reported_setups (number, session, instrument_id, previous_hash, hash, entry)
SELECT number, $1, instrument_id, previous_hash, hash, entry
FROM unnest($2::bigint[], $3::integer[], $4::text[], $5::text[], $6::text[])
    AS given (number, instrument_id, previous_hash, hash, entry);

-- name: entries
SELECT reported_setups.number, instruments.symbol, previous_hash, hash, entry
FROM reported_setups
JOIN instruments ON instruments.id = reported_setups.instrument_id
WHERE number > $1
ORDER BY number
LIMIT $2;

-- name: head
SELECT hash FROM reported_setups ORDER BY number DESC LIMIT 1;

-- name: screened_since
SELECT session FROM screened_sessions WHERE session >= $1;
