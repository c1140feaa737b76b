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

-- name: latest_report
SELECT report::text AS report FROM position_reports ORDER BY session DESC LIMIT 1;

-- name: undated_lots
SELECT jsonb_path_query_array(report, '$.lots[*] ? (@.opened == null)')::text AS lots
FROM position_reports
ORDER BY session DESC
LIMIT 1;

-- name: latest_heat
SELECT session, (report -> 'heat')::text AS heat FROM position_reports ORDER BY session DESC LIMIT 1;

-- name: latest_journal
SELECT journal::text AS journal FROM position_reports ORDER BY session DESC LIMIT 1;

-- name: latest_entries
-- The journal with the newest $2 entries alone, of the symbol $1 where it is not empty; the statistics stay whole.
SELECT (jsonb_set(journal, '{entries}', chosen.entries))::text AS journal
FROM (SELECT journal FROM position_reports ORDER BY session DESC LIMIT 1) AS newest,
LATERAL (
    SELECT coalesce(jsonb_agg(entry ORDER BY place), '[]') AS entries
    FROM (
        SELECT entry, place
        FROM jsonb_array_elements(journal -> 'entries') WITH ORDINALITY AS listed (entry, place)
        WHERE $1 = '' OR entry ->> 'symbol' = $1
        ORDER BY place DESC
        LIMIT $2
    ) AS wanted
) AS chosen;

-- name: curve
SELECT session, lots, closed_r, open_r, at_risk
FROM (SELECT * FROM position_reports ORDER BY session DESC LIMIT $1) AS newest
ORDER BY session;

-- name: last_before
SELECT max(session) FROM position_reports WHERE session < $1;
