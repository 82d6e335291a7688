-- What is wrong with the fleet: the kind of each finding, or what the row is about; the session, its
-- owner (how it came to have none) and epoch, or the machine. Each part returns one row more than $1, which tells that there are
-- more. One connection at a time audits a table; the first row says whether this one does.
WITH RECURSIVE mine AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock({lock} | to_regclass({table_literal})::oid::bigint) AS got
), {owners}
SELECT 'lock' AS about, NULL::{id_type} AS id, NULL::text AS name, mine.got::int::bigint AS epoch
FROM mine
UNION ALL (
    SELECT 'session-unassigned', t.{id}::{id_type}, CASE
            WHEN t.{epoch} = 0 THEN 'it never had an owner'
            WHEN t.{released} = t.{epoch} THEN 'its last owner gave it up, and no machine has claimed it'
            ELSE 'it was taken from its last owner, and no machine has claimed it'
        END, t.{epoch}::bigint FROM {table} AS t
    WHERE (SELECT mine.got FROM mine) AND {owner_text t} IS NULL AND {is_active_by_index t}
    ORDER BY {owner_text t} LIMIT $1 + 1
)
-- Starting sessions, too: their owner does not finish them any more. Not in the next two: a machine
-- that is being created for a session has not beaten yet, and a drain leaves a starting session to the
-- machine that creates it.
UNION ALL (
    SELECT 'owner-lost', s.* FROM known CROSS JOIN LATERAL (
        SELECT {found t} FROM {table} AS t
        WHERE {owner_text t} >= known.owner AND {owner_text t} <= known.owner AND {is_living t}
        ORDER BY {owner_text t} LIMIT $1 + 1
    ) AS s
    WHERE known.presence = 3 LIMIT $1 + 1
)
UNION ALL (
    SELECT 'owner-never-seen', s.* FROM known CROSS JOIN LATERAL (
        SELECT {found t} FROM {table} AS t
        WHERE {owner_text t} >= known.owner AND {owner_text t} <= known.owner
            AND {is_active_by_index t}
        ORDER BY {owner_text t} LIMIT $1 + 1
    ) AS s
    WHERE known.presence = 4 LIMIT $1 + 1
)
UNION ALL (
    SELECT 'owner-draining', s.* FROM known CROSS JOIN LATERAL (
        SELECT {found t} FROM {table} AS t
        WHERE {owner_text t} >= known.owner AND {owner_text t} <= known.owner
            AND {is_active_by_index t}
        ORDER BY {owner_text t} LIMIT $1 + 1
    ) AS s
    WHERE known.presence = 2 LIMIT $1 + 1
)
UNION ALL SELECT 'owner', NULL, known.owner, NULL FROM known
UNION ALL (
    SELECT 'machine', NULL, m.machine_id, NULL FROM {machines} AS m
    WHERE NOT {is_lost m} AND (SELECT mine.got FROM mine)
    ORDER BY m.machine_id LIMIT {most_owners} + 1
)
-- Some sessions, half of them from a random owner on, whose owner is not the one that their epoch was
-- set for.
UNION ALL (
    SELECT 'owner-without-epoch', {found t} FROM (
        (
            SELECT t.{id}, t.{owner}, t.{epoch}, t.{epoch_of} FROM {table} AS t
            WHERE (SELECT mine.got FROM mine) AND {is_in_index t}
            ORDER BY {owner_text t} LIMIT {sample}
        )
        UNION (
            SELECT t.{id}, t.{owner}, t.{epoch}, t.{epoch_of} FROM {table} AS t
            WHERE (SELECT mine.got FROM mine) AND {is_in_index t}
                AND {owner_text t} >= (SELECT known.owner FROM known ORDER BY random() LIMIT 1)
            ORDER BY {owner_text t} LIMIT {sample}
        )
    ) AS t
    WHERE {drifted t} LIMIT $1 + 1
)
-- Asking for the usage also frees what all listeners have read.
UNION ALL (
    SELECT 'notify-queue', NULL, round((100 * used.share)::numeric, 1)::text, NULL
    FROM (
        SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_notification_queue_usage() END AS share
    ) AS used
    WHERE used.share > 0.1
)
UNION ALL SELECT 'replica', NULL, NULL, NULL WHERE pg_is_in_recovery()
