-- oldest reader: 4
-- oldest release that may write: 0.1.0
-- The finer business of a company beside its sector; and over how many screened sessions the setups of a regime
-- are counted, null for regimes that were written before, whose counts stay as they are.

ALTER TABLE instruments ADD COLUMN industry text;
ALTER TABLE market_regimes ADD COLUMN setup_sessions integer;
