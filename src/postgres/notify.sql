-- Tells every listening machine which session changed, when the change commits.
--
-- May be applied again and again; needs PostgreSQL 14. Apply it in one transaction, as the owner of
-- the table. It locks out writers of the table, not readers, until that transaction ends, and waits
-- for those who are writing: `SET lock_timeout` first where transactions are long.
--
-- The server refuses to change the type of a column that a trigger names. To do that, or to be rid
-- of the triggers:
--     DROP FUNCTION "preview_sessions_tower_ownership" CASCADE;

CREATE OR REPLACE FUNCTION "preview_sessions_tower_ownership"() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $tower_ownership$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM pg_notify('tower_ownership', '1 *');
        RETURN NULL;
    END IF;
    -- Cut, because a payload that is too long would fail the statement. No id is as long.
    IF TG_OP <> 'INSERT' THEN
        PERFORM pg_notify('tower_ownership', '1 ' || left(OLD."id"::text, 600));
    END IF;
    -- The same payload twice in a transaction is sent once.
    IF TG_OP <> 'DELETE' THEN
        PERFORM pg_notify('tower_ownership', '1 ' || left(NEW."id"::text, 600));
    END IF;
    RETURN NULL;
END
$tower_ownership$;

CREATE OR REPLACE TRIGGER tower_ownership_row
    AFTER INSERT OR DELETE ON "preview_sessions"
    FOR EACH ROW EXECUTE FUNCTION "preview_sessions_tower_ownership"();

CREATE OR REPLACE TRIGGER tower_ownership_change
    AFTER UPDATE OF "id", "container_id", "status", "container_url", "expires_at", "ended_at" ON "preview_sessions"
    FOR EACH ROW WHEN (
        OLD."id" IS DISTINCT FROM NEW."id"
        OR OLD."container_id" IS DISTINCT FROM NEW."container_id"
        OR OLD."status" IS DISTINCT FROM NEW."status"
        OR OLD."container_url" IS DISTINCT FROM NEW."container_url"
        OR OLD."expires_at" IS DISTINCT FROM NEW."expires_at"
        OR OLD."ended_at" IS DISTINCT FROM NEW."ended_at"
    )
    EXECUTE FUNCTION "preview_sessions_tower_ownership"();

CREATE OR REPLACE TRIGGER tower_ownership_truncate
    AFTER TRUNCATE ON "preview_sessions"
    FOR EACH STATEMENT EXECUTE FUNCTION "preview_sessions_tower_ownership"();
