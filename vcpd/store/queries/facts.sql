-- name: put
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
