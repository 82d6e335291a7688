-- Ends session $1, if machine $3 owns it at epoch $4, or whichever machine owns it if $3 is NULL. $2 is
-- the word for a status that means over. Returns the epoch, and whether the session is over now.
WITH held AS MATERIALIZED (
    SELECT {stored t} FROM {table} AS t
    WHERE t.{id} = $1 AND ($3 IS NULL OR {owner_text t} = $3 AND t.{epoch} = $4)
    FOR NO KEY UPDATE
), ended AS (
    UPDATE {table} AS t SET {set} FROM held AS h WHERE t.{id} = h.{id} AND {lives h}
    RETURNING 1
)
SELECT h.{epoch}::bigint AS epoch, NOT ({lives h}) OR EXISTS (SELECT FROM ended) AS is_over
FROM held AS h
