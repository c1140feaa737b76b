-- name: marks
-- Every symbol with a note or in the list $1, by symbol.
SELECT symbol, listed.symbol IS NOT NULL AS starred, coalesce(notes.note, '') AS note
FROM (SELECT symbol FROM symbol_lists WHERE list = $1) AS listed
FULL JOIN symbol_notes AS notes USING (symbol)
ORDER BY symbol;

-- name: mark
SELECT EXISTS (SELECT FROM symbol_lists WHERE list = $1 AND symbol = $2) AS starred,
       coalesce((SELECT note FROM symbol_notes WHERE symbol = $2), '') AS note;

-- name: add_to_list
INSERT INTO symbol_lists (list, symbol) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: remove_from_list
DELETE FROM symbol_lists WHERE list = $1 AND symbol = $2;

-- name: put_note
INSERT INTO symbol_notes (symbol, note) VALUES ($1, $2)
ON CONFLICT (symbol) DO UPDATE SET note = excluded.note, changed_at = now();

-- name: remove_note
DELETE FROM symbol_notes WHERE symbol = $1;
