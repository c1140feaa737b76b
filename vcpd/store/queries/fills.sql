-- name: add
INSERT INTO fills (symbol, instrument_id, isin, session, side, quantity, price, trade_id, order_id, stop, note,
                   later_ratio, rules)
SELECT given.symbol, instruments.id, isin, session, side, quantity, price, trade_id, order_id, stop, note, later_ratio,
       rules
FROM unnest(
    $1::text[], $2::text[], $3::date[], $4::text[], $5::bigint[], $6::double precision[], $7::text[], $8::text[],
    $9::double precision[], $10::text[], $11::double precision[], $12::text[]
) AS given (symbol, isin, session, side, quantity, price, trade_id, order_id, stop, note, later_ratio,
            rules)
LEFT JOIN instruments ON instruments.symbol = given.symbol
ON CONFLICT (symbol, session, trade_id) DO NOTHING;

-- name: add_missing_isins
UPDATE fills
SET isin = given.isin
FROM unnest($1::text[], $2::text[], $3::date[], $4::text[]) AS given (symbol, isin, session, trade_id)
WHERE fills.isin = '' AND given.isin <> '' AND fills.symbol = given.symbol AND fills.session = given.session
  AND fills.trade_id = given.trade_id;

-- name: follow_instruments
-- Fills of a company that was listed only after they were added.
UPDATE fills
SET instrument_id = instruments.id
FROM instruments
WHERE fills.instrument_id IS NULL AND instruments.symbol = fills.symbol;

-- name: note_references
UPDATE fills
SET reference_close = bars.close * fills.later_ratio
FROM bars
WHERE fills.reference_close IS NULL
  AND bars.instrument_id = fills.instrument_id AND bars.session = fills.session AND NOT bars.provisional;

-- name: all
SELECT fills.id, coalesce(instruments.symbol, fills.symbol) AS symbol, fills.session, side, quantity, price, trade_id,
       order_id, stop, note, rules, isin, reference_close, bars.close AS present_close
FROM fills
LEFT JOIN instruments ON instruments.id = fills.instrument_id
LEFT JOIN bars ON bars.instrument_id = fills.instrument_id AND bars.session = fills.session
ORDER BY fills.session, fills.id;

-- name: remove
DELETE FROM fills WHERE id = ANY ($1::bigint[]);

-- name: set_stops
UPDATE fills
SET stop = given.stop
FROM unnest($1::bigint[], $2::double precision[]) AS given (id, stop)
WHERE fills.id = given.id AND fills.side = 'buy';

-- name: set_rules
UPDATE fills SET rules = $2 WHERE id = ANY ($1::bigint[]) AND side = 'buy';

-- name: set_notes
UPDATE fills SET note = $2 WHERE id = ANY ($1::bigint[]);

-- name: companies
SELECT instruments.symbol, instruments.id AS instrument_id, instruments.sector, instruments.listed AS is_listed,
       judged.state, judged.footprint, facts.results_on
FROM instruments
LEFT JOIN LATERAL (
    SELECT setups.state, setups.verdict ->> 'footprint' AS footprint
    FROM setups
    WHERE setups.instrument_id = instruments.id AND setups.session <= $2
    ORDER BY setups.session DESC
    LIMIT 1
) AS judged ON true
LEFT JOIN LATERAL (
    SELECT symbol_facts.results_on
    FROM symbol_facts
    WHERE symbol_facts.instrument_id = instruments.id
      AND symbol_facts.session <= $2 AND symbol_facts.session > $2 - 7
    ORDER BY symbol_facts.session DESC
    LIMIT 1
) AS facts ON true
WHERE instruments.symbol = ANY ($1::text[]);

-- name: purchases
-- The base that was followed on the day, the last verdict up to it, and the market's term.
SELECT given.symbol, given.session, base.pivot, base.footprint, judged.score, regime.term
FROM unnest($1::text[], $2::date[]) AS given (symbol, session)
LEFT JOIN instruments ON instruments.symbol = given.symbol
LEFT JOIN LATERAL (
    SELECT bases.pivot, bases.footprint
    FROM bases
    WHERE bases.instrument_id = instruments.id
      AND bases.found_on <= given.session AND bases.last_judged >= given.session
    ORDER BY bases.anchor_date DESC
    LIMIT 1
) AS base ON true
LEFT JOIN LATERAL (
    SELECT setups.score
    FROM setups
    WHERE setups.instrument_id = instruments.id
      AND setups.session <= given.session AND setups.session > given.session - 7 AND setups.has_base
    ORDER BY setups.session DESC
    LIMIT 1
) AS judged ON true
LEFT JOIN LATERAL (
    SELECT market_regimes.term
    FROM market_regimes
    WHERE market_regimes.session <= given.session AND market_regimes.session > given.session - 7
    ORDER BY market_regimes.session DESC
    LIMIT 1
) AS regime ON true;
