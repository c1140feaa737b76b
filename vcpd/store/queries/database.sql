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

-- name: lift_statement_timeout
SET LOCAL statement_timeout = 0;

-- name: read_all_tables
DO $$
DECLARE
    checked record;
BEGIN
    FOR checked IN
        SELECT c.relname FROM pg_class c
        WHERE c.relnamespace = to_regnamespace('vcpd') AND c.relkind = 'r' ORDER BY c.relname
    LOOP
        BEGIN
            EXECUTE format('SELECT sum(length(whole_row::text)) FROM vcpd.%I AS whole_row', checked.relname);
        EXCEPTION WHEN data_corrupted OR index_corrupted OR internal_error THEN
            RAISE EXCEPTION 'table %: %', checked.relname, SQLERRM USING ERRCODE = 'data_corrupted';
        END;
    END LOOP;
END
$$;

-- name: table_count
SELECT count(*) FROM pg_class c WHERE c.relnamespace = to_regnamespace('vcpd') AND c.relkind = 'r';

-- name: has_amcheck
SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'amcheck');

-- name: check_indexes
SELECT count(bt_index_check(index => c.oid))
FROM pg_class c
JOIN pg_am a ON a.oid = c.relam
WHERE c.relnamespace = to_regnamespace('vcpd') AND c.relkind = 'i' AND a.amname = 'btree';
