-- name: all
SELECT id, symbol, token, name, tick_size, lot_size, segment, series, listed, first_seen, last_seen, sector,
       is_fund, has_futures, previous_series, series_since, industry
FROM instruments
ORDER BY symbol;

-- name: lock_instruments
-- Also against row locks: a merge of bars takes those first and writes instruments later.
LOCK TABLE instruments IN EXCLUSIVE MODE;

-- name: rename
UPDATE instruments
SET symbol = changed.symbol
FROM unnest($1::integer[], $2::text[]) AS changed (id, symbol)
WHERE instruments.id = changed.id;

-- name: clear_flags
DELETE FROM flags WHERE symbol = ANY ($1::text[]);

-- name: rename_flags
UPDATE flags
SET symbol = changed.new
FROM unnest($1::text[], $2::text[]) AS changed (old, new)
WHERE flags.symbol = changed.old;

-- name: rename_quarantine
UPDATE quarantine
SET symbol = changed.new
FROM unnest($1::text[], $2::text[]) AS changed (old, new)
WHERE quarantine.symbol = changed.old
  AND NOT EXISTS (
    SELECT
    FROM quarantine AS there
    WHERE there.symbol = changed.new AND there.rule = quarantine.rule
      AND there.session IS NOT DISTINCT FROM quarantine.session
      AND there.payload = quarantine.payload
);

-- name: rename_listed
UPDATE symbol_lists
SET symbol = changed.new
FROM unnest($1::text[], $2::text[]) AS changed (old, new)
WHERE symbol_lists.symbol = changed.old
  AND NOT EXISTS (
    SELECT FROM symbol_lists AS there WHERE there.list = symbol_lists.list AND there.symbol = changed.new
);

-- name: rename_notes
UPDATE symbol_notes
SET symbol = changed.new
FROM unnest($1::text[], $2::text[]) AS changed (old, new)
WHERE symbol_notes.symbol = changed.old
  AND NOT EXISTS (SELECT FROM symbol_notes AS there WHERE there.symbol = changed.new);

-- name: rename_levels
UPDATE price_levels
SET symbol = changed.new
FROM unnest($1::text[], $2::text[]) AS changed (old, new)
WHERE price_levels.symbol = changed.old
  AND NOT EXISTS (
    SELECT
    FROM price_levels AS there
    WHERE there.symbol = changed.new AND there.kind = price_levels.kind
      AND there.price IS NOT DISTINCT FROM price_levels.price
      AND there.average IS NOT DISTINCT FROM price_levels.average
);

-- name: rename_snoozes
UPDATE symbol_snoozes
SET symbol = changed.new
FROM unnest($1::text[], $2::text[]) AS changed (old, new)
WHERE symbol_snoozes.symbol = changed.old
  AND NOT EXISTS (SELECT FROM symbol_snoozes AS there WHERE there.symbol = changed.new);

-- name: rename_seen
UPDATE symbols_seen
SET symbol = changed.new
FROM unnest($1::text[], $2::text[]) AS changed (old, new)
WHERE symbols_seen.symbol = changed.old
  AND NOT EXISTS (SELECT FROM symbols_seen AS there WHERE there.symbol = changed.new);

-- name: upsert
INSERT INTO instruments AS kept
    (symbol, token, name, tick_size, lot_size, segment, series, is_fund, has_futures, listed, first_seen, last_seen)
SELECT symbol, token, name, tick_size, lot_size, segment, series, is_fund, has_futures, true, $10, $10
FROM unnest(
    $1::text[], $2::bigint[], $3::text[], $4::double precision[], $5::integer[], $6::text[], $7::text[],
    $8::boolean[], $9::boolean[]
) AS given (symbol, token, name, tick_size, lot_size, segment, series, is_fund, has_futures)
ON CONFLICT (symbol) DO UPDATE
SET token = excluded.token, name = excluded.name, tick_size = excluded.tick_size,
    lot_size = excluded.lot_size, segment = excluded.segment, series = excluded.series,
    is_fund = excluded.is_fund, has_futures = coalesce(excluded.has_futures, kept.has_futures),
    previous_series = CASE WHEN kept.series = excluded.series THEN kept.previous_series ELSE kept.series END,
    series_since = CASE WHEN kept.series = excluded.series THEN kept.series_since ELSE excluded.last_seen END,
    listed = true, last_seen = greatest(kept.last_seen, excluded.last_seen)
WHERE (kept.token, kept.name, kept.tick_size, kept.lot_size, kept.segment, kept.series, kept.is_fund, kept.listed,
       kept.has_futures)
    IS DISTINCT FROM (excluded.token, excluded.name, excluded.tick_size, excluded.lot_size,
                      excluded.segment, excluded.series, excluded.is_fund, true,
                      coalesce(excluded.has_futures, kept.has_futures))
   OR kept.last_seen < excluded.last_seen;

-- name: add_unknown
INSERT INTO instruments (
    symbol, token, name, tick_size, lot_size, segment, series, is_fund, has_futures, listed, first_seen, last_seen
)
SELECT symbol, token, name, tick_size, lot_size, segment, series, is_fund, has_futures, false, $10, $10
FROM unnest(
    $1::text[], $2::bigint[], $3::text[], $4::double precision[], $5::integer[], $6::text[], $7::text[],
    $8::boolean[], $9::boolean[]
) AS given (symbol, token, name, tick_size, lot_size, segment, series, is_fund, has_futures)
ON CONFLICT (symbol) DO NOTHING;

-- name: set_sectors
UPDATE instruments
SET sector = given.sector, industry = given.industry
FROM unnest($1::text[], $2::text[], $3::text[]) AS given (symbol, sector, industry)
WHERE instruments.symbol = given.symbol
  AND (instruments.sector, instruments.industry) IS DISTINCT FROM (given.sector, given.industry);

-- name: delist
UPDATE instruments SET listed = false WHERE symbol = ANY ($1::text[]);

-- name: put_facts
INSERT INTO symbol_facts AS kept
    (instrument_id, session, delivery_pct, market_cap, band_hit, results_on, surveillance, results_in_sessions,
     price_band_pct, series_change)
SELECT instruments.id, $1, delivery_pct, market_cap, band_hit, results_on, surveillance, results_in_sessions,
       price_band_pct, series_change
FROM unnest(
    $2::text[], $3::double precision[], $4::double precision[], $5::text[], $6::date[], $7::text[], $8::integer[],
    $9::double precision[], $10::text[]
) AS given (symbol, delivery_pct, market_cap, band_hit, results_on, surveillance, results_in_sessions, price_band_pct,
            series_change)
JOIN instruments USING (symbol)
ON CONFLICT (instrument_id, session) DO UPDATE
SET delivery_pct = coalesce(excluded.delivery_pct, kept.delivery_pct),
    market_cap = coalesce(excluded.market_cap, kept.market_cap),
    band_hit = coalesce(excluded.band_hit, kept.band_hit),
    results_on = coalesce(excluded.results_on, kept.results_on),
    surveillance = coalesce(excluded.surveillance, kept.surveillance),
    results_in_sessions = coalesce(excluded.results_in_sessions, kept.results_in_sessions),
    price_band_pct = coalesce(excluded.price_band_pct, kept.price_band_pct),
    series_change = coalesce(excluded.series_change, kept.series_change)
WHERE (kept.delivery_pct, kept.market_cap, kept.band_hit, kept.results_on, kept.surveillance,
       kept.results_in_sessions, kept.price_band_pct, kept.series_change)
    IS DISTINCT FROM (
        coalesce(excluded.delivery_pct, kept.delivery_pct),
        coalesce(excluded.market_cap, kept.market_cap),
        coalesce(excluded.band_hit, kept.band_hit),
        coalesce(excluded.results_on, kept.results_on),
        coalesce(excluded.surveillance, kept.surveillance),
        coalesce(excluded.results_in_sessions, kept.results_in_sessions),
        coalesce(excluded.price_band_pct, kept.price_band_pct),
        coalesce(excluded.series_change, kept.series_change)
    );
