-- name: begin
INSERT INTO runs (job, scheduled_at, session, started_at)
VALUES ($1, $2, $3, $4)
ON CONFLICT (job, scheduled_at) DO NOTHING
RETURNING id, job, scheduled_at, session, started_at, finished_at, outcome, reason, counts;

-- name: finish
UPDATE runs
SET outcome = $2, reason = $3, counts = $4::jsonb, finished_at = $5
WHERE id = $1 AND outcome IS NULL;

-- name: record
INSERT INTO runs (job, scheduled_at, session, outcome, reason, finished_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (job, scheduled_at) DO NOTHING;

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
    SELECT id, job, scheduled_at, session, started_at, finished_at, outcome, reason, counts
    FROM runs
    WHERE runs.job = jobs.job
    ORDER BY scheduled_at DESC
    LIMIT 1
) AS newest;

-- name: recent
SELECT id, job, scheduled_at, session, started_at, finished_at, outcome, reason, counts
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

-- name: forget_before
DELETE FROM runs WHERE scheduled_at < $1 AND outcome IS NOT NULL;
