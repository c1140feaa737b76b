-- name: put
INSERT INTO position_reports (session, lots, closed_r, open_r, at_risk, report, journal)
VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7::jsonb)
ON CONFLICT (session) DO UPDATE
SET lots = excluded.lots, closed_r = excluded.closed_r, open_r = excluded.open_r, at_risk = excluded.at_risk,
    report = excluded.report, journal = excluded.journal;

-- name: drop_older_texts
UPDATE position_reports
SET report = NULL, journal = NULL
WHERE report IS NOT NULL AND session < (SELECT max(session) FROM position_reports);

-- name: latest
SELECT session, report::text AS report, journal::text AS journal
FROM position_reports
ORDER BY session DESC
LIMIT 1;

-- name: curve
SELECT session, lots, closed_r, open_r, at_risk
FROM (SELECT * FROM position_reports ORDER BY session DESC LIMIT $1) AS newest
ORDER BY session;

-- name: last_before
SELECT max(session) FROM position_reports WHERE session < $1;
