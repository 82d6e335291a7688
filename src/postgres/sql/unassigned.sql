-- Active sessions that no machine owns, at most $1.
SELECT o.*, {presence o} AS presence FROM (
    SELECT {listed t} FROM {table} AS t
    WHERE {owner_text t} IS NULL AND {is_active_by_index t}
    ORDER BY {owner_text t} LIMIT $1
) AS o
ORDER BY o.owner COLLATE "C", o.id LIMIT $1
