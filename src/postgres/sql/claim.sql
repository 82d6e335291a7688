-- Makes machine $2, whose process is $3, the owner of session $1, if the row still is as it was read:
-- owned by $4 at epoch $5, or by no machine. Returns the row as it is then, and for how long $4 was silent.
--
-- A statement sees the table as it was when it began, so an UPDATE beside a SELECT would not return the
-- winner to a loser. A locked row is read as it is then: a claim that waited for the lock judges, and
-- returns, what the winner left.
--
-- It may stand alone, so it bounds its own wait for the row's lock, before it asks for that.
WITH bounded AS MATERIALIZED (
    SELECT set_config('lock_timeout', {claim_lock}, true)
), new_owner AS MATERIALIZED (
    SELECT * FROM {machines} WHERE machine_id = $2 FOR KEY SHARE
), held AS MATERIALIZED (
    SELECT {stored t} FROM bounded, {table} AS t WHERE t.{id} = $1 FOR NO KEY UPDATE OF t
), won AS (
    UPDATE {table} AS t SET {owner} = {owner_value}{set_address} FROM held AS h
    WHERE t.{id} = h.{id} AND {is_active h} AND NOT {drifted h}
        AND NOT EXISTS (
            SELECT FROM new_owner AS m
            WHERE m.draining OR m.left_at IS NOT NULL OR m.gone_at IS NOT NULL
        )
        AND ($3 IS NULL OR EXISTS (
            SELECT FROM new_owner AS m WHERE m.boot_id = $3 AND ($4 IS NULL OR {is_heard m})
        ))
        AND CASE WHEN $4 IS NULL THEN h.{owner} IS NULL
            ELSE {owner_text h} = $4 AND h.{epoch} = $5 AND (
                EXISTS (SELECT FROM {machines} AS m WHERE m.machine_id = $4 AND {is_lost m})
                OR EXISTS (SELECT FROM {machines})
                AND NOT EXISTS (SELECT FROM {machines} AS m WHERE m.machine_id = $4)
            ) END
    RETURNING {stored t}
)
SELECT {session t}, (
    SELECT extract(epoch FROM now() - m.beat_at)::float8 FROM {machines} AS m WHERE m.machine_id = $4
) AS silent_seconds
FROM (SELECT * FROM won UNION ALL SELECT * FROM held WHERE NOT EXISTS (SELECT FROM won)) AS t
