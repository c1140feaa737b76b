-- oldest reader: 4
-- oldest release that may write: 0.1.0
-- Scans that a user saved on the page, beside those of the configuration; the followed ones alert.

CREATE TABLE saved_scans (
    name       text PRIMARY KEY,
    expression text NOT NULL,
    followed   boolean NOT NULL DEFAULT false,
    saved_at   timestamptz NOT NULL DEFAULT now()
);
