-- Living sessions whose owners have the presence $2, and for 0 (unknown) the active ones that no
-- machine owns; at most $1. Each part of the union may hold $1.
WITH RECURSIVE {owners}
SELECT o.*, {presence o} AS presence FROM (
    (
        SELECT s.* FROM known CROSS JOIN LATERAL (
            SELECT {listed t} FROM {table} AS t
            WHERE {owner_text t} >= known.owner AND {owner_text t} <= known.owner AND {is_living t}
            ORDER BY {owner_text t} LIMIT $1
        ) AS s
        WHERE known.presence = $2 LIMIT $1
    )
    UNION ALL (
        SELECT {listed t} FROM {table} AS t
        WHERE $2 = 0 AND {owner_text t} IS NULL AND {is_active_by_index t}
        ORDER BY {owner_text t} LIMIT $1
    )
) AS o
ORDER BY o.owner COLLATE "C", o.id LIMIT $1
