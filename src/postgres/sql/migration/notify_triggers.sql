CREATE OR REPLACE TRIGGER tower_ownership_row
    AFTER INSERT OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION {notify_function}();

CREATE OR REPLACE TRIGGER tower_ownership_change
    AFTER UPDATE OF {notify_columns} ON {table}
    FOR EACH ROW EXECUTE FUNCTION {notify_function}();

CREATE OR REPLACE TRIGGER tower_ownership_truncate
    AFTER TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION {notify_function}();
