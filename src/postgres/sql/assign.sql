-- Makes machine $2 the owner of session $1. Returns how the machine is (0 and 1: it may have the
-- session, 2: it drains, 3: lost, 4: never seen, 5: declared gone), whether the session lives, its new
-- epoch, and its owner before.
--
-- The machine's row is locked, too, so that a machine which begins to drain meanwhile finds this session
-- among those that it has to release.
WITH new_owner AS MATERIALIZED (
    SELECT * FROM {machines} WHERE machine_id = $2 FOR KEY SHARE
), fit AS MATERIALIZED (
    SELECT COALESCE(
        (
            SELECT CASE WHEN m.gone_at IS NOT NULL THEN 5 WHEN {is_lost m} THEN 3
                WHEN m.draining THEN 2 ELSE 1 END
            FROM new_owner AS m
        ),
        CASE WHEN EXISTS (SELECT FROM {machines}) THEN 4 ELSE 0 END
    )::smallint AS machine
), held AS MATERIALIZED (
    SELECT {stored t} FROM {table} AS t WHERE t.{id} = $1 FOR NO KEY UPDATE
), given AS (
    UPDATE {table} AS t SET {owner} = {owner_value}{set_address} FROM held AS h, fit
    WHERE t.{id} = h.{id} AND {lives h} AND fit.machine < 2
    RETURNING t.{epoch}::bigint AS epoch
)
SELECT fit.machine, ({lives h}) AS lives, (SELECT given.epoch FROM given) AS epoch,
    {owner_text h} AS previous
FROM fit CROSS JOIN held AS h
