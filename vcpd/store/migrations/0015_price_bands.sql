-- oldest reader: 4
-- oldest release that may write: 0.1.0
-- The daily price band of a share in percent; null where no list says so, or where the share has none.

ALTER TABLE symbol_facts ADD COLUMN price_band_pct double precision;
