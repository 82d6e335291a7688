DECLARE
    -- The functions name what they use with its schema, which is that of the table.
    home text := (
        SELECT pg_catalog.quote_ident(n.nspname)
        FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.oid = {table_literal}::regclass
    );
    name text;
BEGIN
    -- No index, and no room for one: a table is emptied when it has grown to some megabytes. The identity
    -- is for a publication of all tables, which would otherwise refuse to delete from it.
    FOREACH name IN ARRAY ARRAY[{log0_literal}, {log1_literal}, {log2_literal}] LOOP
        IF to_regclass(home || '.' || name) IS NULL THEN
            EXECUTE 'CREATE TABLE ' || home || '.' || name || ' (id text)';
            EXECUTE 'ALTER TABLE ' || home || '.' || name || ' REPLICA IDENTITY FULL';
        END IF;
    END LOOP;
    -- The reader's lease: when it was renewed, by which reader, and into which table changes go. Every writer
    -- reads it. It is a sequence because that is written in place: of a row, each version that an open
    -- snapshot keeps would make every writer slower.
    EXECUTE 'CREATE SEQUENCE IF NOT EXISTS ' || home || '.' || {lease_literal}
        || ' OWNED BY ' || home || '.' || {log0_literal} || '.id';
    EXECUTE 'CREATE OR REPLACE FUNCTION ' || home || '.' || {read_literal} || '(me integer, holds boolean, says boolean)
        RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS '
        || pg_catalog.quote_literal(pg_catalog.replace({read_body}, {home_literal}, home));
    -- Writers need no rights on the log. No `SET search_path`, which costs each call more than the rest of it:
    -- everything that a function with the owner's rights uses is named with its schema.
    EXECUTE 'CREATE OR REPLACE FUNCTION ' || home || '.' || {notify_literal} || '()
        RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS '
        || pg_catalog.quote_literal(pg_catalog.replace({append_body}, {home_literal}, home));
END
