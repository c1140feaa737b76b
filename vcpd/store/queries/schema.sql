-- name: create_schema
CREATE SCHEMA IF NOT EXISTS vcpd;

-- name: create_migration_table
CREATE TABLE IF NOT EXISTS vcpd.schema_migrations (
    version       integer PRIMARY KEY,
    name          text NOT NULL,
    checksum      text NOT NULL,
    oldest_reader integer NOT NULL
);

-- name: add_oldest_release
ALTER TABLE vcpd.schema_migrations ADD COLUMN IF NOT EXISTS oldest_release text NOT NULL DEFAULT '0.1.0';

-- name: lock
SELECT pg_advisory_lock($1);

-- name: unlock
SELECT pg_advisory_unlock($1);

-- name: holds_store
SELECT to_regclass('vcpd.schema_migrations') IS NOT NULL;

-- name: newest_migration
SELECT coalesce(max(version), 0) FROM vcpd.schema_migrations;

-- name: applied_migrations
SELECT version, name, checksum, oldest_reader, oldest_release FROM vcpd.schema_migrations ORDER BY version;

-- name: add_step
INSERT INTO vcpd.schema_migrations (version, name, checksum, oldest_reader, oldest_release)
VALUES ($1, $2, $3, $4, $5);

-- name: use_schema
SET LOCAL search_path = vcpd;
