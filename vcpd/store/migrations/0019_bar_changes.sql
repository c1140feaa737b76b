-- oldest reader: 4
-- oldest release that may write: 0.1.0
-- Which bars changed since, for those that keep a copy of them. A row without instruments means: any bar.

CREATE TABLE bar_changes (
    number         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token          uuid NOT NULL DEFAULT gen_random_uuid(), -- tells a restored store's row from another of its number
    first          date, -- no earlier bar of the instruments changed
    instrument_ids integer[],
    CHECK ((first IS NULL) = (instrument_ids IS NULL))
);
-- Not from the sequence: at wal_level = minimal, a number drawn in the transaction that creates a sequence lets the
-- next ones out of the write-ahead log, and a server that is killed gives them out once more.
INSERT INTO bar_changes (number) OVERRIDING SYSTEM VALUE VALUES (0);

-- A transaction that sets vcpd.notes_bar_changes adds exact rows itself; every other one gets a row for any bar.
CREATE FUNCTION note_bar_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('vcpd.notes_bar_changes', true) IS DISTINCT FROM 'on' THEN
        EXECUTE format('INSERT INTO %I.bar_changes DEFAULT VALUES', TG_TABLE_SCHEMA);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER bars_are_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON bars
FOR EACH STATEMENT EXECUTE FUNCTION note_bar_change();

CREATE FUNCTION delete_old_bar_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'DELETE FROM %1$I.bar_changes WHERE number IN (SELECT number FROM %1$I.bar_changes'
        ' WHERE number < (SELECT max(number) - 10000 FROM %1$I.bar_changes) FOR UPDATE SKIP LOCKED)',
        TG_TABLE_SCHEMA
    );
    RETURN NULL;
END
$$;
CREATE TRIGGER bar_changes_are_limited AFTER INSERT ON bar_changes
FOR EACH STATEMENT EXECUTE FUNCTION delete_old_bar_changes();
