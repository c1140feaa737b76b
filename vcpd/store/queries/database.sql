-- name: ping
SELECT 1;

-- name: sizes
SELECT c.relname AS table_name,
       pg_total_relation_size(c.oid) AS bytes,
       greatest(c.reltuples, 0)::bigint AS rows_estimate
FROM pg_class c
WHERE c.relnamespace = 'vcpd'::regnamespace AND c.relkind = 'r'
ORDER BY bytes DESC;

-- name: lead
SELECT pg_try_advisory_lock($1);

-- name: analyze
ANALYZE bars, instruments, runs, setups, bases, setup_events, risk_scores, quarantine, flags,
        alerts, alert_deliveries;

-- name: stale_statistics
SELECT relname AS table_name
FROM pg_stat_user_tables
WHERE schemaname = 'vcpd'
  AND n_mod_since_analyze > 50 + n_live_tup / 10
ORDER BY relname;

-- name: analyze_stale
DO $$
DECLARE
    stale record;
BEGIN
    FOR stale IN
        SELECT relname
        FROM pg_stat_user_tables
        WHERE schemaname = 'vcpd' AND n_mod_since_analyze > 50 + n_live_tup / 10
    LOOP
        EXECUTE format('ANALYZE vcpd.%I', stale.relname);
    END LOOP;
END
$$;
