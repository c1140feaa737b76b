-- oldest reader: 4
-- oldest release that may write: 0.1.0
-- Whether futures of a share trade, by which its hours differ; null where no list has said so yet.

ALTER TABLE instruments ADD COLUMN has_futures boolean;
