-- name: make_home
CREATE SCHEMA IF NOT EXISTS vcpd;

-- name: make_ledger
CREATE TABLE IF NOT EXISTS vcpd.schema_migrations (
    version       integer PRIMARY KEY,
    name          text NOT NULL,
    checksum      text NOT NULL,
    oldest_reader integer NOT NULL
);

-- name: lock
SELECT pg_advisory_lock($1);

-- name: unlock
SELECT pg_advisory_unlock($1);

-- name: applied
SELECT version, name, checksum, oldest_reader FROM vcpd.schema_migrations ORDER BY version;

-- name: note
INSERT INTO vcpd.schema_migrations (version, name, checksum, oldest_reader) VALUES ($1, $2, $3, $4);

-- name: enter_home
SET LOCAL search_path = vcpd;
