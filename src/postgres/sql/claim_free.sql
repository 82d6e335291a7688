-- Makes machine $2, whose process is $3, the owner of session $1, if no machine owns it. Returns the
-- session then. No row: it was not done, and `claim.sql` says why, and does what is left to do.
--
-- What most claims need, for 0.6 of the server's instructions: there is no loser to tell of the winner, so the
-- row is locked by the UPDATE alone, which looks at it again if it had to wait for it. The machine's row is
-- locked as there, and what is returned of the owner is known from it.
UPDATE {table} AS t SET {owner} = {owner_value}{set_address}
FROM (
    SELECT m.address FROM {machines} AS m
    WHERE m.machine_id = $2 AND m.boot_id = $3 AND NOT m.draining AND m.left_at IS NULL
        AND m.gone_at IS NULL AND {is_heard m}
    FOR KEY SHARE
) AS me
WHERE (SELECT set_config('lock_timeout', {claim_lock}, true)) IS NOT NULL
    AND t.{id} = $1 AND t.{owner} IS NULL AND {is_active t} AND NOT {drifted t}
RETURNING {session t}
