-- oldest reader: 4
-- oldest release that may write: 0.1.0
-- How many sessions lay between the facts' session and the meeting about results.

ALTER TABLE symbol_facts ADD COLUMN results_in_sessions integer;
