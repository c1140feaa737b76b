-- name: add_scheduled
INSERT INTO runs (job, scheduled_at, session, started_at, finished_at, cause, outcome, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT DO NOTHING
RETURNING id, job, scheduled_at, session, started_at, finished_at, outcome, reason, counts, cause;

-- The first free instant from $2 on, never a whole second: version 0.1.0 keeps every (job, scheduled_at) once,
-- and takes what lies on a whole second for a tick of its schedule.
-- name: add_unscheduled
INSERT INTO runs (job, scheduled_at, session, started_at, finished_at, cause, outcome, reason)
SELECT $1::text, free.instant, $3, $4, $5, $6, $7, $8
FROM (
    SELECT $2::timestamptz + step * interval '1 microsecond' AS instant
    FROM generate_series(0, 1000) AS step
) AS free
WHERE free.instant <> date_trunc('second', free.instant)
  AND NOT EXISTS (SELECT 1 FROM runs AS taken WHERE taken.job = $1 AND taken.scheduled_at = free.instant)
ORDER BY free.instant
LIMIT 1
ON CONFLICT DO NOTHING
RETURNING id, job, scheduled_at, session, started_at, finished_at, outcome, reason, counts, cause;

-- name: finish
UPDATE runs
SET outcome = $2, reason = $3, counts = $4::jsonb, finished_at = $5
WHERE id = $1 AND outcome IS NULL;

-- name: close_stale
UPDATE runs
SET outcome = 'failed', reason = $1, finished_at = $2
WHERE outcome IS NULL;

-- name: latest
WITH RECURSIVE jobs AS (
    (SELECT job FROM runs ORDER BY job LIMIT 1)
    UNION ALL
    SELECT (SELECT runs.job FROM runs WHERE runs.job > jobs.job ORDER BY runs.job LIMIT 1)
    FROM jobs
    WHERE jobs.job IS NOT NULL
)
SELECT newest.*
FROM jobs
CROSS JOIN LATERAL (
    SELECT id, job, scheduled_at, session, started_at, finished_at, outcome, reason, counts, cause
    FROM runs
    WHERE runs.job = jobs.job
    ORDER BY scheduled_at DESC
    LIMIT 1
) AS newest;

-- name: recent
SELECT id, job, scheduled_at, session, started_at, finished_at, outcome, reason, counts, cause
FROM runs
WHERE $2::text IS NULL OR job = $2
ORDER BY scheduled_at DESC, id DESC
LIMIT $1;

-- name: paused
SELECT job FROM paused_jobs;

-- name: pause
INSERT INTO paused_jobs (job) VALUES ($1) ON CONFLICT DO NOTHING;

-- name: resume
DELETE FROM paused_jobs WHERE job = $1;

-- name: delete_before
DELETE FROM runs WHERE scheduled_at < $1 AND outcome IS NOT NULL;
