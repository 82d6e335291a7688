-- Deletes sessions that ended longer than $1 milliseconds ago, at most $2.
--
-- The second look is for a table in which an id is not unique.
WITH old AS MATERIALIZED (
    SELECT t.{id} AS id FROM {table} AS t
    WHERE {end t} < now() - $1 * interval '1 millisecond' LIMIT $2
    FOR UPDATE SKIP LOCKED
)
DELETE FROM {table} AS t USING old
WHERE t.{id} = old.id AND {end t} < now() - $1 * interval '1 millisecond'
RETURNING t.{id}::{id_type} AS id, t.{epoch}::bigint AS epoch
