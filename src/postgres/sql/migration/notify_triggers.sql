CREATE OR REPLACE FUNCTION {notify_function}() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS {notify_body};

CREATE OR REPLACE TRIGGER tower_ownership_row
    AFTER INSERT OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION {notify_function}();

CREATE OR REPLACE TRIGGER tower_ownership_change
    AFTER UPDATE OF {notify_columns} ON {table}
    FOR EACH ROW WHEN (
        {notify_changed}
    )
    EXECUTE FUNCTION {notify_function}();

CREATE OR REPLACE TRIGGER tower_ownership_truncate
    AFTER TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION {notify_function}();
