-- oldest reader: 4
-- oldest release that may write: 0.1.0
-- What the market publishes of an instrument beside its bars: whether it is a fund, the series it moved from, and
-- facts of each session; null where no file gave one.

ALTER TABLE instruments ADD COLUMN is_fund boolean NOT NULL DEFAULT false;
ALTER TABLE instruments ADD COLUMN previous_series text;
ALTER TABLE instruments ADD COLUMN series_since date;

CREATE TABLE symbol_facts (
    instrument_id integer NOT NULL REFERENCES instruments,
    session       date NOT NULL,
    delivery_pct  double precision,
    market_cap    double precision,
    band_hit      text,
    results_on    date,
    surveillance  text,
    PRIMARY KEY (instrument_id, session)
);
