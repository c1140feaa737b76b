-- oldest reader: 4
-- oldest release that may write: 0.1.0
-- A share's move between series as a list of the exchange announces it, in words; null where none does.

ALTER TABLE symbol_facts ADD COLUMN series_change text;
