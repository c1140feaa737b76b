-- oldest reader: 1
-- The business a company is in, as an index list tells it; null where none did.

ALTER TABLE instruments ADD COLUMN sector text;
