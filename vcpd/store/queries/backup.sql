-- name: tables
-- Every table of the schema except the list of migrations and that of changed bars, which starts anew in a
-- restored store, so that no copy of other bars fits it; the size is an estimate of the rows' bytes.
SELECT c.relname::text AS name,
       array_agg(a.attname::text ORDER BY a.attnum) AS columns,
       pg_relation_size(c.oid) AS size_bytes
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
WHERE c.relnamespace = to_regnamespace($1) AND c.relkind = 'r' AND c.relname NOT IN ('schema_migrations', 'bar_changes')
GROUP BY c.oid, c.relname
ORDER BY c.relname;

-- name: references
SELECT DISTINCT referencing.relname::text AS name, referenced.relname::text AS needs
FROM pg_constraint k
JOIN pg_class referencing ON referencing.oid = k.conrelid
JOIN pg_class referenced ON referenced.oid = k.confrelid
WHERE k.contype = 'f' AND k.connamespace = to_regnamespace($1) AND k.conrelid <> k.confrelid;

-- name: sequences
SELECT sequencename::text AS name, last_value
FROM pg_sequences
WHERE schemaname = $1 AND last_value IS NOT NULL AND sequencename <> 'bar_changes_number_seq'
ORDER BY sequencename;

-- name: set_sequence
SELECT setval(format('%I.%I', $1::text, $2::text)::regclass, $3);

-- name: log_next_numbers
-- Sets each sequence to its own value, so that the next number is logged, also of a sequence that was created and
-- used in this transaction: at wal_level = minimal a killed server would otherwise give numbers out twice.
SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, last_value)
FROM pg_sequences
WHERE schemaname = $1 AND last_value IS NOT NULL;

-- name: applied_migrations
-- Without the columns that a database of version 0.1.0 lacks: a backup is taken before it is migrated.
SELECT version, checksum FROM vcpd.schema_migrations ORDER BY version;

-- name: server_version
SHOW server_version;

-- name: limit_lock_wait
-- A daemon that was stopped a moment ago may still be seen by the server.
SET lock_timeout = '5s';

-- name: lift_lock_wait
RESET lock_timeout;

-- name: drop_schema
DROP SCHEMA IF EXISTS vcpd CASCADE;

-- name: create_trial_schema
CREATE SCHEMA vcpd_trial_restore;

-- name: enter_trial_schema
SET LOCAL search_path = vcpd_trial_restore;
