-- No `SET search_path`, and no WHEN of the triggers: either costs each statement more than the function does.
-- Every operator and function that is used exists in pg_catalog for exactly these types.
CREATE OR REPLACE FUNCTION {epochs_function}() RETURNS trigger
    LANGUAGE plpgsql
AS {epochs_body};

-- Triggers run in the order of their names, and these have to see what the others made of the row.
-- No `UPDATE OF`: it would look at the statement, and another trigger may change the owner, too.
-- Nor `ENABLE ALWAYS`: a logical replica has to keep the epochs of its publisher.
CREATE OR REPLACE TRIGGER zz_tower_ownership_insert
    BEFORE INSERT ON {table}
    FOR EACH ROW EXECUTE FUNCTION {epochs_function}();

CREATE OR REPLACE TRIGGER zz_tower_ownership_update
    BEFORE UPDATE ON {table}
    FOR EACH ROW EXECUTE FUNCTION {epochs_function}();
