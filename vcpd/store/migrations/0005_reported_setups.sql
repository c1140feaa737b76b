-- oldest reader: 1
-- What was reported, as it was known then. Each row's hash covers the row before: nothing is ever changed.

CREATE TABLE reported_setups (
    number        bigint PRIMARY KEY CHECK (number > 0),
    session       date NOT NULL,
    instrument_id integer NOT NULL REFERENCES instruments,
    previous_hash text NOT NULL UNIQUE,
    hash          text NOT NULL UNIQUE,
    entry         text NOT NULL -- canonical JSON, the bytes that were hashed
);
CREATE INDEX reported_setups_by_session ON reported_setups (session, instrument_id, number);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are only ever added: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE TRIGGER reported_setups_are_never_changed BEFORE UPDATE OR DELETE ON reported_setups
FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER reported_setups_are_never_emptied BEFORE TRUNCATE ON reported_setups
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
