-- oldest reader: 4
-- oldest release that may write: 0.1.0
-- The named set of sell rules that was chosen for a purchase; `default`: the rules of [positions].

ALTER TABLE fills ADD COLUMN rules text NOT NULL DEFAULT 'default';
