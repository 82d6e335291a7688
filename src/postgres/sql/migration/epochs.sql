CREATE OR REPLACE FUNCTION {epochs_function}() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS {epochs_body};

-- Triggers run in the order of their names, and these have to see what the others made of the row.
-- No `UPDATE OF`: it would look at the statement, and another trigger may change the owner, too.
-- Nor `ENABLE ALWAYS`: a logical replica has to keep the epochs of its publisher.
CREATE OR REPLACE TRIGGER zz_tower_ownership_insert
    BEFORE INSERT ON {table}
    FOR EACH ROW EXECUTE FUNCTION {epochs_function}();

CREATE OR REPLACE TRIGGER zz_tower_ownership_update
    BEFORE UPDATE ON {table}
    FOR EACH ROW WHEN (
        {owner_text OLD} IS DISTINCT FROM {owner_text NEW}
        OR {id_text OLD} IS DISTINCT FROM {id_text NEW}
        OR OLD.{epoch} IS DISTINCT FROM NEW.{epoch}
        OR OLD.{released} IS DISTINCT FROM NEW.{released}
        OR OLD.{epoch_of} IS DISTINCT FROM NEW.{epoch_of}
        OR NEW.{epoch_of} COLLATE "C" IS DISTINCT FROM NEW.{owner}::text COLLATE "C"
    )
    EXECUTE FUNCTION {epochs_function}();
