-- oldest reader: 1

-- When the live watch saw the event; `live` until a bar of its session tells the same.
ALTER TABLE setup_events ADD COLUMN live boolean NOT NULL DEFAULT false;
ALTER TABLE setup_events ADD COLUMN seen_at timestamptz;
ALTER TABLE setup_events ADD COLUMN volume_ratio double precision;

CREATE TABLE volume_curves (
    instrument_id integer PRIMARY KEY REFERENCES instruments,
    learned_on    date NOT NULL,
    sessions      integer NOT NULL,
    shares        double precision[] NOT NULL
);
