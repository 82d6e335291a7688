-- Tells every listening machine which session changed, when the change commits.
--
-- May be applied again and again; needs PostgreSQL 14. Apply it in one transaction, as the owner of
-- the table. It locks out writers of the table, not readers, until that transaction ends, and waits
-- for those who are writing: `SET lock_timeout` first where transactions are long.
--
-- The server refuses to change the type of a column that a trigger names. To do that, or to be rid
-- of the triggers:
--     DROP FUNCTION {notify_function} CASCADE;

{notify_sql}