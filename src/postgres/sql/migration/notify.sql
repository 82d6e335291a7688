-- Tells every listening machine which session changed, when the change commits.
--
-- May be applied again and again; needs PostgreSQL 14. Apply it in one transaction, as the owner of
-- the table. It locks out writers of the table, not readers, until that transaction ends, and waits
-- for those who are writing: `SET lock_timeout` first where transactions are long.
--
-- The server refuses to change the type of a column that a trigger names. To do that, or to be rid
-- of the triggers:
--     DROP FUNCTION {notify_function} CASCADE;

-- No `SET search_path`, which costs each call more than the rest of it. Every operator and function that is
-- used exists in pg_catalog for exactly these types.
CREATE OR REPLACE FUNCTION {notify_function}() RETURNS trigger
    LANGUAGE plpgsql
AS {notify_body};

{notify_sql}