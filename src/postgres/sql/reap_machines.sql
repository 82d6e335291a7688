-- Deletes machines that have been lost for longer than $1 milliseconds and own no session that is
-- active or starting, at most $2. A machine that was declared gone stays, since it would be readmitted
-- otherwise.
--
-- Nor is a machine deleted whose session is starting: it would count as never seen for as long as that
-- session lives. Where the index of owners holds active sessions only, `starting` reads the others from
-- the table, once for all machines, and only if the index left any.
WITH idle AS MATERIALIZED (
    SELECT m.machine_id FROM {machines} AS m
    WHERE {is_lost m} AND m.gone_at IS NULL
        AND GREATEST(m.beat_at, m.left_at) < now() - $1 * interval '1 millisecond'
        AND (
            SELECT true FROM {table} AS t
            WHERE {owner_text t} >= m.machine_id AND {owner_text t} <= m.machine_id
                AND {is_indexed_active t}
            ORDER BY {owner_text t} LIMIT 1
        ) IS NULL
        AND (
            SELECT true FROM {table} AS t
            WHERE {owner_text t} >= m.machine_id AND {owner_text t} <= m.machine_id
                AND {is_living t}
            ORDER BY {owner_text t} LIMIT 1
        ) IS NULL
), old AS MATERIALIZED (
    SELECT m.machine_id FROM idle AS i JOIN {machines} AS m USING (machine_id)
    WHERE {is_lost m} AND m.gone_at IS NULL
        AND GREATEST(m.beat_at, m.left_at) < now() - $1 * interval '1 millisecond'{no_starting}
    LIMIT $2
    FOR UPDATE OF m SKIP LOCKED
)
DELETE FROM {machines} AS m USING old WHERE m.machine_id = old.machine_id
RETURNING m.machine_id AS id
