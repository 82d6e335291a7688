-- Says who may serve a session: an epoch that rises with every change of owner, a proof that an
-- owner stopped before it gave the session up, and which machines are alive. And tells every
-- listening machine which session changed, soon after the change commits.
--
-- May be applied again and again; needs PostgreSQL 14. Apply it in one transaction, as the owner of
-- the table. It locks the table against readers and writers until that transaction ends, and waits for
-- transactions that use it while all later ones wait behind it: `SET lock_timeout` first. What takes long
-- on a large table (the index, and the column {epoch_of} of rows that were there before) it leaves
-- out there, and warns with the statement to run afterwards. `PostgresDirectory::migrate` and
-- `ownership migrate --run` lock less: they do only what is missing.
--
-- The server refuses to change the type of a column that a trigger names. To do that, drop the
-- triggers, change it, and apply this again, all in one transaction. A session whose owner changes
-- while they are missing is served by no machine until this is applied again:
--     DROP FUNCTION {epochs_function}, {notify_function} CASCADE;

{columns_sql}
{epochs_sql}
{log_sql}
{notify_sql}
-- A machine's row is updated every few seconds: room in the page, and no index on the time, let
-- the server do that in place.
{machines_sql}
-- One row: for how long every machine of the fleet may rely on what it read.
{fleet_sql}
{slow_sql}