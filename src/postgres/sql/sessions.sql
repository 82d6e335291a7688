-- Living sessions of machine $2, or all if it is NULL, in the order of their owners, at most $1.
--
-- The order is one that only the index of owners has, so that a short list is read from it: a limit
-- alone would make the planner read the table from the front, in the hope that enough rows come soon.
SELECT o.*, {presence o} AS presence FROM (
    SELECT {listed t} FROM {table} AS t
    WHERE {is_living t} AND ($2 IS NULL OR {owner_text t} >= $2 AND {owner_text t} <= $2)
    ORDER BY {owner_text t} LIMIT $1
) AS o
ORDER BY o.owner COLLATE "C", o.id LIMIT $1
