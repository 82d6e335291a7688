-- Ends those of the sessions $3 that machine $1 owns at the epochs $4, if $5 is the boot id of the machine's
-- last process. $2 is the word for a status that means over. Returns the sessions that are as they were
-- or were ended, with their epochs, and whether they were; and how the machine's row is: 0 of this process,
-- 1 of another, 2 missing.
--
-- As in `release.sql`, the owner is compared by an expression that no index has, and each row is looked at
-- twice for a table in which an id is not unique.
WITH me AS MATERIALIZED (
    SELECT FROM {machines} WHERE machine_id = $1 AND boot_id = $5 FOR KEY SHARE
), these AS MATERIALIZED (
    SELECT t.{id} AS id, t.{epoch} AS epoch FROM {table} AS t
    WHERE t.{id} = ANY($3) AND (t.{id}, t.{epoch}::bigint) IN (SELECT * FROM unnest($3, $4))
        AND {owner_text t} || '' = $1 AND {lives t}
), free AS MATERIALIZED (
    SELECT t.{id} AS id, t.{epoch} AS epoch FROM {table} AS t
    WHERE t.{id} = ANY($3) AND (t.{id}, t.{epoch}::bigint) IN (SELECT * FROM unnest($3, $4))
        AND {owner_text t} || '' = $1 AND {lives t} AND EXISTS (SELECT FROM me)
    FOR NO KEY UPDATE SKIP LOCKED
), ended AS (
    UPDATE {table} AS t SET {set} FROM free AS f
    WHERE t.{id} = f.id AND t.{epoch} = f.epoch AND {owner_text t} || '' = $1 AND {lives t}
    RETURNING t.{id} AS id, t.{epoch} AS epoch
), found AS (
    SELECT s.id, s.epoch, EXISTS (SELECT FROM ended AS e WHERE e.id = s.id AND e.epoch = s.epoch) AS ended
    FROM these AS s
)
SELECT f.id::{id_type} AS id, CASE WHEN EXISTS (SELECT FROM me) THEN 0
        WHEN EXISTS (SELECT FROM {machines} WHERE machine_id = $1) THEN 1
        ELSE 2 END::smallint AS machine,
    f.epoch::bigint AS epoch, f.ended
FROM (SELECT 1) AS one LEFT JOIN found AS f ON true
