-- name: marks
-- Every symbol with a note, a look or in the list $1, by symbol.
SELECT symbol, listed.symbol IS NOT NULL AS starred, coalesce(notes.note, '') AS note, seen.session AS seen
FROM (SELECT symbol FROM symbol_lists WHERE list = $1) AS listed
FULL JOIN symbol_notes AS notes USING (symbol)
FULL JOIN symbols_seen AS seen USING (symbol)
ORDER BY symbol;

-- name: mark
SELECT EXISTS (SELECT FROM symbol_lists WHERE list = $1 AND symbol = $2) AS starred,
       coalesce((SELECT note FROM symbol_notes WHERE symbol = $2), '') AS note,
       (SELECT session FROM symbols_seen WHERE symbol = $2) AS seen;

-- name: put_seen
-- A look at an older session's setup does not undo one at a newer.
INSERT INTO symbols_seen (symbol, session) VALUES ($1, $2)
ON CONFLICT (symbol) DO UPDATE SET session = greatest(symbols_seen.session, excluded.session);

-- name: add_to_list
INSERT INTO symbol_lists (list, symbol) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: remove_from_list
DELETE FROM symbol_lists WHERE list = $1 AND symbol = $2;

-- name: put_note
INSERT INTO symbol_notes (symbol, note) VALUES ($1, $2)
ON CONFLICT (symbol) DO UPDATE SET note = excluded.note, changed_at = now();

-- name: remove_note
DELETE FROM symbol_notes WHERE symbol = $1;
