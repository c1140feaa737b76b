-- oldest reader: 1

-- When the live watch saw the event; null for one that only a screen told.
ALTER TABLE setup_events ADD COLUMN seen_at timestamptz;
ALTER TABLE setup_events ADD COLUMN volume_ratio double precision;

CREATE TABLE volume_curves (
    instrument_id integer PRIMARY KEY REFERENCES instruments,
    learned_on    date NOT NULL,
    sessions      integer NOT NULL,
    shares        double precision[] NOT NULL
);
