-- Releases sessions of machine $1 that are as `which` says, and `again` once they are locked, if $2 is
-- the boot id of the machine's last process, or NULL. Returns the sessions, their epochs, and whether
-- the release is proven; and how the machine's row is: 0 of this process, 1 of another, 2 missing.
--
-- The proof is written only for a session that the machine was entitled to serve: `has_waited` says
-- whether it waited for the owner before, and `is_alone` whether for the process before. And only by a
-- process that keeps presence: the write of another one may arrive after the machine was restarted,
-- and the proof would be that of a process which serves. An owner for which no epoch was set has served
-- nothing, and releases nothing.
--
-- The owner is compared by an expression that no index has. With that of the index of owners, each
-- statement would read all sessions of the machine, and compare each with each. The second look at
-- each row is for a table in which an id is not unique.
WITH me AS MATERIALIZED (
    SELECT FROM {machines} WHERE machine_id = $1 AND boot_id = $2 FOR KEY SHARE
), free AS MATERIALIZED (
    SELECT t.{id} AS id FROM {table} AS t
    WHERE {which} AND {owner_text t} || '' = $1 AND ($2 IS NULL OR EXISTS (SELECT FROM me))
    {lock}
), given_up AS (
    UPDATE {table} AS t SET {owner} = NULL, {released} = CASE
        WHEN $2 IS NOT NULL AND {is_alone}
            AND (t.{epoch} <= 1 OR t.{released} = t.{epoch} - 1 OR {has_waited})
        THEN t.{epoch} + 1 ELSE t.{released} END
    FROM free
    WHERE t.{id} = free.id AND {again} AND {owner_text t} || '' = $1 AND NOT {drifted t}
    RETURNING t.{id}::{id_type} AS id, t.{epoch}::bigint AS epoch,
        t.{released} IS NOT DISTINCT FROM t.{epoch} AS proven
)
SELECT g.id, CASE WHEN $2 IS NULL OR EXISTS (SELECT FROM me) THEN 0
        WHEN EXISTS (SELECT FROM {machines} WHERE machine_id = $1) THEN 1
        ELSE 2 END::smallint AS machine,
    g.epoch, g.proven
FROM (SELECT 1) AS one LEFT JOIN given_up AS g ON true
