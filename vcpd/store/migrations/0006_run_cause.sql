-- oldest reader: 4
-- oldest release that may write: 0.1.0
-- Why a run exists. Version 0.1.0 left only a fraction of a second on runs that its schedule had not caused, and
-- keeps every (job, scheduled_at) once: its unique constraint stays while it may still write.

ALTER TABLE runs ADD COLUMN cause text;

UPDATE runs
SET cause = CASE WHEN scheduled_at = date_trunc('second', scheduled_at) THEN 'scheduled' ELSE 'unscheduled' END;

ALTER TABLE runs ALTER COLUMN cause SET NOT NULL;

CREATE UNIQUE INDEX runs_once_by_schedule ON runs (job, scheduled_at)
WHERE cause IN ('tick', 'catch_up', 'scheduled');

-- For rows that version 0.1.0 writes, which knows no cause.
CREATE FUNCTION set_run_cause() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.cause := CASE
        WHEN NEW.scheduled_at = date_trunc('second', NEW.scheduled_at) THEN 'scheduled'
        ELSE 'unscheduled'
    END;
    RETURN NEW;
END
$$;
CREATE TRIGGER set_run_cause BEFORE INSERT ON runs
FOR EACH ROW WHEN (NEW.cause IS NULL) EXECUTE FUNCTION set_run_cause();
