-- The active sessions of machine $1, with their epochs: those that it can give up. An owner for which no
-- epoch was set has served nothing, and a release of all sessions would wait for it in vain.
SELECT t.{id}::{id_type} AS id, t.{epoch}::bigint AS epoch FROM {table} AS t
WHERE {owner_text t} = $1 AND {is_indexed_active t} AND NOT {drifted t} LIMIT $2
