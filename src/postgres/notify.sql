-- Tells every listening machine which session changed, when the change commits.
--
-- May be applied again and again; needs PostgreSQL 14. Apply it in one transaction, as the owner of
-- the table. It locks out writers of the table, not readers, until that transaction ends, and waits
-- for those who are writing: `SET lock_timeout` first where transactions are long.
--
-- The server refuses to change the type of a column that a trigger names. To do that, or to be rid
-- of the triggers:
--     DROP FUNCTION "preview_sessions_tower_ownership" CASCADE;

-- No `SET search_path`, which costs each call more than the rest of it. Every operator and function that is
-- used exists in pg_catalog for exactly these types.
CREATE OR REPLACE FUNCTION "preview_sessions_tower_ownership"() RETURNS trigger
    LANGUAGE plpgsql
AS $tower_ownership$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM pg_catalog.pg_notify('tower_ownership', '1 *');
        RETURN NULL;
    END IF;
    -- Here and not in a WHEN of the trigger, which the server would parse anew for every statement.
    IF TG_OP = 'UPDATE' THEN
        IF (OLD."id" OPERATOR(pg_catalog.=) NEW."id" OR OLD."id" IS NULL AND NEW."id" IS NULL)
            AND (OLD."container_id" OPERATOR(pg_catalog.=) NEW."container_id" OR OLD."container_id" IS NULL AND NEW."container_id" IS NULL)
            AND (OLD."status" OPERATOR(pg_catalog.=) NEW."status" OR OLD."status" IS NULL AND NEW."status" IS NULL)
            AND (OLD."container_url" OPERATOR(pg_catalog.=) NEW."container_url" OR OLD."container_url" IS NULL AND NEW."container_url" IS NULL)
            AND (OLD."expires_at" OPERATOR(pg_catalog.=) NEW."expires_at" OR OLD."expires_at" IS NULL AND NEW."expires_at" IS NULL)
            AND (OLD."ended_at" OPERATOR(pg_catalog.=) NEW."ended_at" OR OLD."ended_at" IS NULL AND NEW."ended_at" IS NULL) THEN
            RETURN NULL;
        END IF;
    END IF;
    -- Cut, because a payload that is too long would fail the statement. No id is as long.
    IF TG_OP <> 'INSERT' THEN
        PERFORM pg_catalog.pg_notify('tower_ownership', '1 ' || pg_catalog.left(OLD."id"::pg_catalog.text, 600));
    END IF;
    -- The same payload twice in a transaction is sent once.
    IF TG_OP <> 'DELETE' THEN
        PERFORM pg_catalog.pg_notify('tower_ownership', '1 ' || pg_catalog.left(NEW."id"::pg_catalog.text, 600));
    END IF;
    RETURN NULL;
END
$tower_ownership$;

CREATE OR REPLACE TRIGGER tower_ownership_row
    AFTER INSERT OR DELETE ON "preview_sessions"
    FOR EACH ROW EXECUTE FUNCTION "preview_sessions_tower_ownership"();

CREATE OR REPLACE TRIGGER tower_ownership_change
    AFTER UPDATE OF "id", "container_id", "status", "container_url", "expires_at", "ended_at" ON "preview_sessions"
    FOR EACH ROW EXECUTE FUNCTION "preview_sessions_tower_ownership"();

CREATE OR REPLACE TRIGGER tower_ownership_truncate
    AFTER TRUNCATE ON "preview_sessions"
    FOR EACH STATEMENT EXECUTE FUNCTION "preview_sessions_tower_ownership"();
