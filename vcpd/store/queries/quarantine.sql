-- name: add
INSERT INTO quarantine (symbol, session, rule, reason, payload)
SELECT symbol, session, rule, reason, payload::jsonb
FROM unnest($1::text[], $2::date[], $3::text[], $4::text[], $5::text[])
    AS given (symbol, session, rule, reason, payload)
ON CONFLICT DO NOTHING;

-- name: drop_flags
DELETE FROM flags
WHERE symbol = ANY ($1::text[])
  AND NOT EXISTS (
    SELECT
    FROM unnest($2::text[], $3::text[], $4::date[]) AS given (symbol, rule, session)
    WHERE (given.symbol, given.rule, given.session) = (flags.symbol, flags.rule, flags.session)
);

-- name: put_flags
INSERT INTO flags AS kept (symbol, rule, session, reason, excludes)
SELECT DISTINCT ON (symbol, rule, session) symbol, rule, session, reason, excludes
FROM unnest($1::text[], $2::text[], $3::date[], $4::text[], $5::boolean[])
    AS given (symbol, rule, session, reason, excludes)
ORDER BY symbol, rule, session, excludes DESC
ON CONFLICT (symbol, rule, session) DO UPDATE
SET reason = excluded.reason, excludes = excluded.excludes
WHERE (kept.reason, kept.excludes) IS DISTINCT FROM (excluded.reason, excluded.excludes);

-- name: flags
SELECT symbol, rule, session, reason, excludes FROM flags ORDER BY symbol, session, rule;

-- name: recent
SELECT symbol, session, rule, reason, payload
FROM quarantine
WHERE ($2::text IS NULL OR symbol = $2)
  AND ($3::text IS NULL OR rule = $3)
ORDER BY id DESC
LIMIT $1;

-- name: counts
SELECT rule, count(*) AS rows FROM quarantine GROUP BY rule ORDER BY rule;

-- name: unscheduled_sessions
SELECT session, count(DISTINCT symbol) AS symbols
FROM quarantine
WHERE rule = 'not_a_session' AND session >= $1 AND (payload ->> 'volume')::double precision > 0
GROUP BY session
ORDER BY session;
