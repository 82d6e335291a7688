-- Lets one transaction at a time create session $1, and keeps machine $2 as it is until that one ends.
--
-- A statement of its own, since a statement sees the table as it was when it began: the next one sees what
-- the transaction before this one left, also where no unique index would tell of it. The key is a hash,
-- so now and then two sessions wait for each other.
WITH me AS MATERIALIZED (
    SELECT FROM {machines} WHERE machine_id = $2 FOR KEY SHARE
)
SELECT pg_advisory_xact_lock(
        hashtextextended($1::text, to_regclass({table_literal})::oid::bigint)
    )::text, (SELECT count(*) FROM me)
