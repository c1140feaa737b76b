-- name: version
SELECT concat_ws(' ', count(*), max(last_judged), max(id)) FROM bases;

-- name: instruments
SELECT symbol, token, name, tick_size, lot_size, segment, series, has_futures FROM instruments WHERE symbol = ANY ($1::text[]);

-- name: add
WITH hurried AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
INSERT INTO setup_events (base_id, session, kind, number, price, provisional, detail, live, seen_at, volume_ratio)
SELECT bases.id, given.session, given.kind,
       given.place + (SELECT coalesce(max(number), 0) FROM setup_events WHERE base_id = bases.id),
       given.price, true, given.detail, true, given.seen_at, given.volume_ratio
FROM hurried
CROSS JOIN unnest(
    $1::text[], $2::date[], $3::date[], $4::text[], $5::double precision[], $6::text[], $7::timestamptz[],
    $8::double precision[]
) WITH ORDINALITY AS given (
    symbol, anchor_date, session, kind, price, detail, seen_at, volume_ratio, place
)
JOIN instruments ON instruments.symbol = given.symbol
JOIN bases ON bases.instrument_id = instruments.id AND bases.anchor_date = given.anchor_date
ON CONFLICT (base_id, session, kind) DO NOTHING;

-- name: events_of_session
SELECT instruments.symbol, bases.anchor_date, kind, setup_events.session, seen_at, price, pivot, stop, footprint,
       volume_ratio, detail
FROM setup_events
JOIN bases ON bases.id = setup_events.base_id
JOIN instruments ON instruments.id = bases.instrument_id
WHERE setup_events.session = $1 AND seen_at IS NOT NULL
ORDER BY seen_at, number;

-- name: curves
SELECT instruments.symbol, learned_on, sessions, array_send(shares) AS shares
FROM volume_curves
JOIN instruments ON instruments.id = volume_curves.instrument_id;

-- name: put_curve
INSERT INTO volume_curves (instrument_id, learned_on, sessions, shares)
SELECT id, $2::date, $3::integer, $4::double precision[] FROM instruments WHERE symbol = $1::text
ON CONFLICT (instrument_id) DO UPDATE
SET learned_on = excluded.learned_on, sessions = excluded.sessions, shares = excluded.shares;
