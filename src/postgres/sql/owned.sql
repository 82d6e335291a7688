-- The active sessions of machine $1, with their epochs.
SELECT t.{id}::{id_type} AS id, t.{epoch}::bigint AS epoch FROM {table} AS t
WHERE {owner_text t} = $1 AND {is_indexed_active t} LIMIT $2
