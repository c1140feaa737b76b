-- name: version
SELECT md5(concat_ws(
    '|',
    (SELECT string_agg(concat_ws(' ', list, symbol), ',' ORDER BY list, symbol) FROM symbol_lists),
    (SELECT string_agg(concat_ws(' ', id, symbol, note), ',' ORDER BY id) FROM price_levels),
    (SELECT string_agg(concat_ws(' ', symbol, until_session), ',' ORDER BY symbol) FROM symbol_snoozes)
));

-- name: lists
SELECT list, array_agg(symbol ORDER BY symbol) AS symbols
FROM symbol_lists
GROUP BY list
ORDER BY list;

-- name: levels
SELECT levels.id, levels.symbol, levels.kind, levels.price, levels.average, levels.note, levels.reference_session,
       levels.reference_close, bars.close AS present_close
FROM price_levels AS levels
LEFT JOIN instruments ON instruments.symbol = levels.symbol
LEFT JOIN bars ON bars.instrument_id = instruments.id AND bars.session = levels.reference_session
ORDER BY levels.symbol, levels.id;

-- name: snoozes
SELECT symbol, until_session FROM symbol_snoozes ORDER BY symbol;

-- name: add
INSERT INTO symbol_lists (list, symbol)
SELECT $1, symbol FROM unnest($2::text[]) AS given (symbol)
ON CONFLICT DO NOTHING;

-- name: remove
DELETE FROM symbol_lists WHERE list = $1 AND symbol = ANY ($2::text[]);

-- name: remove_list
DELETE FROM symbol_lists WHERE list = $1;

-- name: rename
INSERT INTO symbol_lists (list, symbol, added_at)
SELECT $2, symbol, added_at FROM symbol_lists WHERE list = $1
ON CONFLICT DO NOTHING;

-- name: put_level
-- The same level again replaces its note and keeps its reference.
INSERT INTO price_levels (symbol, kind, price, average, note, reference_session, reference_close)
SELECT given.symbol, given.kind, given.price, given.average, given.note, newest.session, newest.close
FROM (SELECT $1::text, $2::text, $3::double precision, $4::integer, $5::text)
    AS given (symbol, kind, price, average, note)
LEFT JOIN instruments ON instruments.symbol = given.symbol
LEFT JOIN LATERAL (
    SELECT bars.session, bars.close
    FROM bars
    WHERE bars.instrument_id = instruments.id AND NOT bars.provisional
    ORDER BY bars.session DESC
    LIMIT 1
) AS newest ON true
ON CONFLICT (symbol, kind, coalesce(price, 0), coalesce(average, 0)) DO UPDATE SET note = excluded.note
RETURNING id;

-- name: remove_levels
DELETE FROM price_levels WHERE id = ANY ($1::bigint[]);

-- name: snooze
INSERT INTO symbol_snoozes (symbol, until_session) VALUES ($1, $2)
ON CONFLICT (symbol) DO UPDATE SET until_session = excluded.until_session;

-- name: end_snooze
DELETE FROM symbol_snoozes WHERE symbol = $1;

-- name: companies
SELECT symbol, id, name FROM instruments WHERE listed AND symbol = ANY ($1::text[]);
