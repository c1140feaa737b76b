-- name: put
WITH told AS (
    INSERT INTO alerts (key, kind, at, told_at, session, symbol, urgent, provisional, facts, items)
    SELECT key, kind, at, $10, session, symbol, urgent, provisional, facts::jsonb, items::jsonb
    FROM unnest(
        $1::text[], $2::text[], $3::timestamptz[], $4::date[], $5::text[], $6::boolean[], $7::boolean[],
        $8::text[], $9::text[]
    ) AS given (key, kind, at, session, symbol, urgent, provisional, facts, items)
    ON CONFLICT (key) DO NOTHING
    RETURNING id, key
), sent AS (
    INSERT INTO alert_deliveries (alert_id, channel, next_attempt_at)
    SELECT told.id, wanted.channel, $10
    FROM told
    JOIN unnest($11::text[], $12::text[]) AS wanted (key, channel) ON wanted.key = told.key
)
SELECT id, key FROM told;

-- name: due
SELECT alerts.id, deliveries.attempts, key, kind, at, session, symbol, urgent, provisional, facts, items
FROM alert_deliveries AS deliveries
JOIN alerts ON alerts.id = deliveries.alert_id
WHERE deliveries.channel = $1
  AND deliveries.delivered_at IS NULL
  AND deliveries.given_up_at IS NULL
  AND deliveries.next_attempt_at <= $2
  AND (alerts.urgent OR alerts.provisional) = $4
  AND (alerts.urgent OR NOT $5)
ORDER BY alerts.id
LIMIT $3;

-- name: next_due
SELECT min(deliveries.next_attempt_at)
FROM alert_deliveries AS deliveries
JOIN alerts ON alerts.id = deliveries.alert_id
WHERE deliveries.channel = $1
  AND deliveries.delivered_at IS NULL
  AND deliveries.given_up_at IS NULL
  AND (alerts.urgent OR alerts.provisional) = $2;

-- name: mark_delivered
UPDATE alert_deliveries
SET delivered_at = $3, attempts = attempts + 1, reason = ''
WHERE channel = $1 AND alert_id = ANY ($2::bigint[]) AND delivered_at IS NULL AND given_up_at IS NULL;

-- name: reschedule
UPDATE alert_deliveries
SET next_attempt_at = $3, attempts = attempts + 1, reason = $4
WHERE channel = $1 AND alert_id = ANY ($2::bigint[]) AND delivered_at IS NULL AND given_up_at IS NULL;

-- name: give_up
UPDATE alert_deliveries
SET given_up_at = $3, attempts = attempts + 1, reason = $4
WHERE channel = $1 AND alert_id = ANY ($2::bigint[]) AND delivered_at IS NULL AND given_up_at IS NULL;

-- name: expire
UPDATE alert_deliveries AS deliveries
SET given_up_at = $2, reason = $3 || CASE WHEN deliveries.reason = '' THEN '' ELSE ': ' || deliveries.reason END
FROM alerts
WHERE alerts.id = deliveries.alert_id
  AND deliveries.delivered_at IS NULL
  AND deliveries.given_up_at IS NULL
  AND alerts.at < $1;

-- name: recent
SELECT id, told_at, key, kind, at, session, symbol, urgent, provisional, facts, items
FROM alerts
WHERE $2::text IS NULL OR kind = $2
ORDER BY id DESC
LIMIT $1;

-- name: deliveries
SELECT alert_id, channel, attempts, next_attempt_at, delivered_at, given_up_at, reason
FROM alert_deliveries
WHERE alert_id = ANY ($1::bigint[])
ORDER BY alert_id, channel;

-- name: counts
SELECT
    (SELECT count(*) FROM alert_deliveries WHERE delivered_at IS NULL AND given_up_at IS NULL) AS pending,
    (SELECT count(*) FROM alert_deliveries WHERE given_up_at >= $1) AS given_up;

-- name: delete_before
DELETE FROM alerts
WHERE told_at < $1
  AND NOT EXISTS (
    SELECT FROM alert_deliveries
    WHERE alert_id = alerts.id AND delivered_at IS NULL AND given_up_at IS NULL
  );

-- name: latch
INSERT INTO alert_latches (name, since) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET since = alert_latches.since
RETURNING since;

-- name: unlatch
DELETE FROM alert_latches WHERE name = $1;
