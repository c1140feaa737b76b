-- name: instrument_ids
SELECT symbol, id FROM instruments WHERE symbol = ANY ($1::text[]);

-- name: record_session
INSERT INTO scored_sessions (session) VALUES ($1) ON CONFLICT DO NOTHING;

-- name: drop_others
DELETE FROM risk_scores WHERE session = $1 AND instrument_id <> ALL ($2::integer[]);

-- name: put
INSERT INTO risk_scores AS kept (session, instrument_id, score, band, verdict)
SELECT $1, instrument_id, score, band, verdict::jsonb
FROM unnest($2::integer[], $3::double precision[], $4::text[], $5::text[])
    AS given (instrument_id, score, band, verdict)
ON CONFLICT (session, instrument_id) DO UPDATE
SET score = excluded.score, band = excluded.band, verdict = excluded.verdict
WHERE kept.verdict IS DISTINCT FROM excluded.verdict;

-- name: latest_session
SELECT max(session) FROM scored_sessions;

-- name: was_scored
SELECT session FROM scored_sessions WHERE session = $1;

-- name: of_session
SELECT instruments.symbol, risk_scores.verdict
FROM risk_scores
JOIN instruments ON instruments.id = risk_scores.instrument_id
WHERE risk_scores.session = $1
ORDER BY risk_scores.score DESC NULLS LAST, instruments.symbol;

-- name: summaries
SELECT instruments.symbol, score, band
FROM risk_scores
JOIN instruments ON instruments.id = risk_scores.instrument_id
WHERE risk_scores.session = $1;

-- name: latest_until
SELECT instruments.symbol, given.session, latest.verdict
FROM unnest($1::text[], $2::date[]) AS given (symbol, session)
JOIN instruments ON instruments.symbol = given.symbol
JOIN LATERAL (
    SELECT verdict
    FROM risk_scores
    WHERE risk_scores.instrument_id = instruments.id AND risk_scores.session <= given.session
    ORDER BY risk_scores.session DESC
    LIMIT 1
) AS latest ON true;

-- name: of_symbol
SELECT instruments.symbol, risk_scores.verdict
FROM risk_scores
JOIN instruments ON instruments.id = risk_scores.instrument_id
WHERE instruments.symbol = $1
ORDER BY risk_scores.session DESC;
