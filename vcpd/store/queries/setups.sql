-- name: instrument_ids
SELECT symbol, id FROM instruments WHERE symbol = ANY ($1::text[]);

-- name: record_session
INSERT INTO screened_sessions (session) VALUES ($1) ON CONFLICT DO NOTHING;

-- name: drop_others
DELETE FROM setups WHERE session = $1 AND instrument_id <> ALL ($2::integer[]);

-- name: put
INSERT INTO setups AS kept (session, instrument_id, has_base, passed, state, score, rs_rating, verdict)
SELECT $1, instrument_id, has_base, passed, state, score, rs_rating, verdict::jsonb
FROM unnest(
    $2::integer[], $3::boolean[], $4::boolean[], $5::text[], $6::double precision[], $7::integer[], $8::text[]
) AS given (instrument_id, has_base, passed, state, score, rs_rating, verdict)
ON CONFLICT (session, instrument_id) DO UPDATE
SET has_base = excluded.has_base, passed = excluded.passed, state = excluded.state,
    score = excluded.score, rs_rating = excluded.rs_rating, verdict = excluded.verdict
WHERE kept.verdict IS DISTINCT FROM excluded.verdict;

-- name: delete_old_without_base
DELETE FROM setups
WHERE NOT has_base AND session < (SELECT max(session) FROM screened_sessions);

-- name: latest_session
SELECT max(session) FROM screened_sessions;

-- name: judged_before
SELECT max(session) FROM screened_sessions WHERE session < $1;

-- name: was_screened
SELECT session FROM screened_sessions WHERE session = $1;

-- name: of_session
-- The verdicts, with what is known beside them: sector, facts, and the market as of at most a week before.
WITH
-- include: market_contexts
SELECT instruments.symbol,
       setups.verdict || jsonb_strip_nulls(jsonb_build_object(
           'sector', instruments.sector,
           'facts', shown.facts,
           'market_context', contexts.context
       )) AS verdict
FROM setups
JOIN instruments ON instruments.id = setups.instrument_id
LEFT JOIN contexts ON contexts.instrument_id = instruments.id
LEFT JOIN LATERAL (
    SELECT *
    FROM symbol_facts
    WHERE instrument_id = setups.instrument_id AND session <= setups.session AND session > setups.session - 7
    ORDER BY session DESC
    LIMIT 1
) AS latest ON true
LEFT JOIN LATERAL (
    SELECT 'trade for trade' || coalesce(' since ' || instruments.series_since, '') AS mark
    WHERE instruments.series IN ('BE', 'BZ', 'ST', 'SZ')
) AS settled ON true
LEFT JOIN LATERAL (
    -- A band of 5 % or less is a mark of its own, as in vcpd.domain.facts: it may find no buyer for a day.
    SELECT 'price band ' || latest.price_band_pct || ' %' AS mark
    WHERE latest.price_band_pct <= 5
) AS narrow ON true
LEFT JOIN LATERAL (
    -- The list of instruments alone says that a share trades for trade, where a market publishes no facts.
    SELECT jsonb_build_object(
        'session', coalesce(latest.session, setups.session),
        'delivery_pct', latest.delivery_pct,
        'delivery_average_pct', (
            SELECT avg(delivery_pct)
            FROM (
                SELECT delivery_pct
                FROM symbol_facts
                WHERE instrument_id = setups.instrument_id AND session < latest.session
                ORDER BY session DESC
                LIMIT 20
            ) AS before
        ),
        'market_cap', latest.market_cap,
        'band_hit', latest.band_hit,
        'price_band_pct', latest.price_band_pct,
        'results_on', latest.results_on,
        'results_in_sessions', latest.results_in_sessions,
        'marks', to_jsonb(array_remove(
            ARRAY[settled.mark, latest.series_change, narrow.mark] || string_to_array(latest.surveillance, '; '), NULL
        ))
    ) AS facts
    WHERE latest.session IS NOT NULL OR settled.mark IS NOT NULL
) AS shown ON true
WHERE setups.session = $1
  AND ($2::text IS NULL OR instruments.symbol = $2)
  AND (NOT $3::boolean OR has_base AND setups.verdict ->> 'group' IS NOT NULL)
ORDER BY setups.score DESC, instruments.symbol;

-- name: count_of_session
SELECT count(*) FROM setups WHERE session = $1;

-- name: listed_states
SELECT state, count(*) AS setups
FROM setups
WHERE session = (SELECT max(session) FROM screened_sessions) AND has_base AND state IS NOT NULL
  AND verdict ->> 'group' IS NOT NULL
GROUP BY state;

-- name: put_bases
INSERT INTO bases AS kept (
    instrument_id, anchor_date, found_on, last_judged, pivot, stop, footprint, state, breakout_on, verdict
)
SELECT instrument_id, anchor_date, found_on, last_judged, pivot, stop, footprint, state, breakout_on,
       verdict::jsonb
FROM unnest(
    $1::integer[], $2::date[], $3::date[], $4::date[], $5::double precision[], $6::double precision[],
    $7::text[], $8::text[], $9::date[], $10::text[]
) AS given (
    instrument_id, anchor_date, found_on, last_judged, pivot, stop, footprint, state, breakout_on, verdict
)
ON CONFLICT (instrument_id, anchor_date) DO UPDATE
SET found_on = least(kept.found_on, excluded.found_on), last_judged = excluded.last_judged, pivot = excluded.pivot,
    stop = excluded.stop, footprint = excluded.footprint, state = excluded.state,
    breakout_on = excluded.breakout_on, verdict = excluded.verdict
WHERE kept.last_judged <= excluded.last_judged;

-- name: base_ids
SELECT bases.id, bases.instrument_id, bases.anchor_date
FROM unnest($1::integer[], $2::date[]) AS given (instrument_id, anchor_date)
JOIN bases USING (instrument_id, anchor_date);

-- name: put_events
INSERT INTO setup_events AS kept (base_id, session, kind, number, price, provisional, detail, live)
SELECT base_id, session, kind, number, price, provisional, detail, live
FROM unnest(
    $1::bigint[], $2::date[], $3::text[], $4::integer[], $5::double precision[], $6::boolean[], $7::text[],
    $8::boolean[]
) AS given (base_id, session, kind, number, price, provisional, detail, live)
ON CONFLICT (base_id, session, kind) DO UPDATE
SET number = excluded.number, price = excluded.price, provisional = excluded.provisional,
    detail = excluded.detail, live = excluded.live
WHERE kept.provisional;

-- name: active_bases
SELECT bases.id, instruments.symbol, anchor_date, found_on, last_judged, pivot, stop, footprint, state,
       breakout_on, verdict
FROM bases
JOIN instruments ON instruments.id = bases.instrument_id
WHERE state <> ALL ($1::text[])
   OR last_judged >= (SELECT max(session) FROM screened_sessions)
ORDER BY instruments.symbol, anchor_date;

-- name: bases_of
SELECT bases.id, instruments.symbol, anchor_date, found_on, last_judged, pivot, stop, footprint, state,
       breakout_on, verdict
FROM bases
JOIN instruments ON instruments.id = bases.instrument_id
WHERE instruments.symbol = $1
ORDER BY anchor_date;

-- name: events
SELECT base_id, kind, session, price, provisional, detail, live
FROM setup_events
WHERE base_id = ANY ($1::bigint[])
ORDER BY base_id, session, number;

-- name: states_by_session
WITH latest AS (SELECT session FROM screened_sessions ORDER BY session DESC LIMIT $1)
SELECT latest.session, setups.state, count(setups.instrument_id) AS setups
FROM latest
LEFT JOIN setups ON setups.session = latest.session AND setups.has_base AND setups.state IS NOT NULL
GROUP BY latest.session, setups.state
ORDER BY latest.session, setups.state;
