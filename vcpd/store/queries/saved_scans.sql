-- name: all
SELECT name, expression, followed FROM saved_scans ORDER BY name;

-- name: put
INSERT INTO saved_scans (name, expression, followed) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE
SET expression = excluded.expression, followed = excluded.followed, saved_at = now();

-- name: remove
DELETE FROM saved_scans WHERE name = $1;
