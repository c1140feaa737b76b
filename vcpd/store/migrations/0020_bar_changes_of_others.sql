-- oldest reader: 4
-- oldest release that may write: 0.1.0
-- A role that may write bars need not be allowed to write bar_changes: the triggers do so as the schema's owner.
-- Their names are all qualified, so that the path of the role that writes cannot lead elsewhere; and no other role
-- can let them run on tables of its own, whose triggers would run as the owner as well.

ALTER FUNCTION note_bar_change() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION delete_old_bar_changes() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
REVOKE EXECUTE ON FUNCTION note_bar_change(), delete_old_bar_changes() FROM PUBLIC;
