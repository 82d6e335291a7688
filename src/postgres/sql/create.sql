-- Inserts session $1 for machine $2, whose process is $3, or begins another life of it if it is over and
-- has no owner. $4 holds the attributes, $5 the lifetime in milliseconds, and $6 the address. Returns how
-- it went (0 a session lives, 1 done, 2 its owner has to give it up first, 3 the machine may create none,
-- 4 a row that this statement does not see is in the way), and the session as it is then.
WITH held AS MATERIALIZED (
    SELECT {stored t} FROM {table} AS t WHERE t.{id} = $1 FOR NO KEY UPDATE
), born AS (
    INSERT INTO {table} AS t ({id}, {owner}{born_columns})
    SELECT $1, {owner_value}{born_values} FROM jsonb_populate_record(NULL::{table}, $4) AS r
    WHERE {may_create} AND NOT EXISTS (SELECT FROM held)
    ON CONFLICT DO NOTHING
    RETURNING {stored t}
), reborn AS (
    UPDATE {table} AS t SET {owner} = {owner_value}{reborn}
    FROM held AS h CROSS JOIN jsonb_populate_record(NULL::{table}, $4) AS r
    WHERE t.{id} = h.{id} AND {is_over h} AND h.{owner} IS NULL AND NOT {lacks_proof h}
        AND {may_create}
    RETURNING {stored t}
)
SELECT CASE WHEN EXISTS (SELECT FROM born) OR EXISTS (SELECT FROM reborn) THEN 1
        WHEN t.{id} IS NOT NULL AND ({is_over t}) IS NOT TRUE THEN 0
        WHEN NOT ({may_create}) THEN 3 WHEN t.{id} IS NULL THEN 4 ELSE 2 END::smallint AS outcome,
    {session t}
FROM (SELECT 1) AS one LEFT JOIN (
    SELECT * FROM born UNION ALL SELECT * FROM reborn
    UNION ALL SELECT * FROM held WHERE NOT EXISTS (SELECT FROM reborn)
) AS t ON true
