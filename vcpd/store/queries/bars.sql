-- name: lock_instruments
SELECT id FROM instruments WHERE id = ANY ($1::integer[]) ORDER BY id FOR NO KEY UPDATE;

-- name: begin_noting_changes
SELECT set_config('vcpd.notes_bar_changes', 'on', true);

-- name: note_whole_histories
INSERT INTO bar_changes (first, instrument_ids) VALUES ('-infinity', $1);

-- name: with_bars
SELECT given.id
FROM unnest($1::integer[]) AS given (id)
WHERE EXISTS (SELECT FROM bars WHERE bars.instrument_id = given.id);

-- name: stage
CREATE TEMPORARY TABLE incoming_bars (
    instrument_id integer NOT NULL,
    session       date NOT NULL,
    open          double precision NOT NULL,
    high          double precision NOT NULL,
    low           double precision NOT NULL,
    close         double precision NOT NULL,
    volume        double precision NOT NULL,
    provisional   boolean NOT NULL
) ON COMMIT DROP;

-- name: clear_stage
TRUNCATE incoming_bars;

-- name: merge_staged
WITH changed AS MATERIALIZED (
    SELECT incoming.*, kept.instrument_id IS NULL AS is_new
    FROM incoming_bars AS incoming
    LEFT JOIN bars AS kept
        ON kept.instrument_id = incoming.instrument_id AND kept.session = incoming.session
       AND kept.instrument_id = ANY ($1::integer[]) AND kept.session BETWEEN $2 AND $3
    WHERE kept.instrument_id IS NULL
       OR ((kept.provisional OR NOT incoming.provisional)
           AND (kept.open, kept.high, kept.low, kept.close, kept.volume, kept.provisional)
               IS DISTINCT FROM (incoming.open, incoming.high, incoming.low, incoming.close,
                                 incoming.volume, incoming.provisional))
), updated AS (
    UPDATE bars
    SET open = changed.open, high = changed.high, low = changed.low, close = changed.close,
        volume = changed.volume, provisional = changed.provisional
    FROM changed
    WHERE NOT changed.is_new
      AND bars.instrument_id = changed.instrument_id AND bars.session = changed.session
    RETURNING 1
), inserted AS (
    INSERT INTO bars (instrument_id, session, open, high, low, close, volume, provisional)
    SELECT instrument_id, session, open, high, low, close, volume, provisional
    FROM changed
    WHERE is_new
    RETURNING 1
), noted AS (
    INSERT INTO bar_changes (first, instrument_ids)
    SELECT first, array_agg(instrument_id)
    FROM (SELECT instrument_id, min(session) AS first FROM changed GROUP BY instrument_id) AS by_instrument
    GROUP BY first
)
SELECT (SELECT count(*) FROM inserted) AS inserted, (SELECT count(*) FROM updated) AS updated;

-- name: widen_asked
UPDATE instruments
SET asked_first = least(asked_first, asked.first), asked_last = greatest(asked_last, asked.last)
FROM unnest($1::integer[], $2::date[], $3::date[]) AS asked (id, first, last)
WHERE instruments.id = asked.id
  AND (asked_first IS NULL OR asked.first < asked_first OR asked.last > asked_last);

-- name: set_asked
UPDATE instruments
SET asked_first = least(asked_first, $2), asked_last = greatest(asked_last, $3)
WHERE id = $1;

-- name: drop_superseded
DELETE FROM bars
WHERE instrument_id = $1 AND session BETWEEN $2 AND $3
  AND NOT EXISTS (SELECT FROM incoming_bars AS incoming WHERE incoming.session = bars.session);

-- name: replace_staged
UPDATE bars
SET open = incoming.open, high = incoming.high, low = incoming.low, close = incoming.close,
    volume = incoming.volume, provisional = incoming.provisional
FROM incoming_bars AS incoming
WHERE bars.instrument_id = incoming.instrument_id AND bars.session = incoming.session
  AND (bars.open, bars.high, bars.low, bars.close, bars.volume, bars.provisional)
      IS DISTINCT FROM (incoming.open, incoming.high, incoming.low, incoming.close,
                        incoming.volume, incoming.provisional);

-- name: coverage
SELECT id, asked_first, asked_last, newest.session AS last_bar, open_end.session AS first_provisional
FROM instruments
LEFT JOIN LATERAL (
    SELECT session FROM bars WHERE instrument_id = instruments.id ORDER BY session DESC LIMIT 1
) AS newest ON true
LEFT JOIN LATERAL (
    SELECT session FROM bars WHERE instrument_id = instruments.id AND provisional ORDER BY session LIMIT 1
) AS open_end ON true;

-- name: series
SELECT session, open, high, low, close, volume, provisional
FROM bars
WHERE instrument_id = $1 AND session >= $2
ORDER BY session;

-- name: symbol
SELECT symbol FROM instruments WHERE id = $1;

-- name: insert_staged
WITH inserted AS (
    INSERT INTO bars (instrument_id, session, open, high, low, close, volume, provisional)
    SELECT instrument_id, session, open, high, low, close, volume, provisional
    FROM incoming_bars AS incoming
    WHERE NOT EXISTS (
        SELECT
        FROM bars AS kept
        WHERE kept.instrument_id = incoming.instrument_id AND kept.session = incoming.session
    )
    RETURNING 1
)
SELECT count(*) FROM inserted;

-- name: newest_session
SELECT max(newest.session)
FROM instruments
CROSS JOIN LATERAL (
    SELECT session FROM bars WHERE instrument_id = instruments.id ORDER BY session DESC LIMIT 1
) AS newest;

-- name: rescaled_staged
WITH compared AS (
    SELECT incoming.instrument_id, incoming.session,
           incoming.close / kept.close AS ratio,
           0.005 + 0.022 / least(kept.close, incoming.close) AS noise,
           0.002 + 0.022 / least(kept.low, incoming.low) AS rounding,
           greatest(incoming.open / kept.open, incoming.high / kept.high, incoming.low / kept.low) AS highest,
           least(incoming.open / kept.open, incoming.high / kept.high, incoming.low / kept.low) AS lowest
    FROM incoming_bars AS incoming
    JOIN bars AS kept ON kept.instrument_id = incoming.instrument_id AND kept.session = incoming.session
    WHERE kept.instrument_id = ANY ($1::integer[]) AND kept.session BETWEEN $2 AND $3
      AND least(kept.open, kept.high, kept.low, kept.close) > 0
), judged AS (
    SELECT *,
           abs(ratio - 1) > noise AND abs(highest / ratio - 1) < rounding AND abs(lowest / ratio - 1) < rounding
               AS is_rescaled
    FROM compared
)
SELECT instruments.symbol, count(*) AS compared, count(*) FILTER (WHERE is_rescaled) AS rescaled,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY ratio) FILTER (WHERE is_rescaled) AS ratio,
       min(session) FILTER (WHERE is_rescaled) AS first, max(session) FILTER (WHERE is_rescaled) AS last
FROM judged
JOIN instruments ON instruments.id = judged.instrument_id
GROUP BY instruments.symbol
HAVING count(*) FILTER (WHERE is_rescaled) >= least(3, count(*))
ORDER BY instruments.symbol;
