-- The sessions of machine $1 that are active or starting, with their epochs.
SELECT t.{id}::{id_type} AS id, t.{epoch}::bigint AS epoch FROM {table} AS t
WHERE {owner_text t} = $1 AND {is_living t} AND {lives t} LIMIT $2
