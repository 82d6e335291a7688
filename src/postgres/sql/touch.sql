-- Lets session $1 live for $4 milliseconds from now, unless it lives for longer, if machine $2 owns it at
-- epoch $3. One without an expiry stays without.
UPDATE {table} AS t SET {touch}
WHERE t.{id} = $1 AND {owner_text t} = $2 AND t.{epoch} = $3 AND {lives t} AND NOT {drifted t}
RETURNING 1
