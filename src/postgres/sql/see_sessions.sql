-- Living sessions of owner $2, or all if it is NULL, or, if $3, active ones without an owner: a starting
-- one may get its owner yet. In the order of their owners, at most $1, of a table without ownership.
SELECT t.{id}::{id_type} AS id, {status_text t} AS status, t.{owner}::text AS owner, {remaining t}
FROM {table} AS t
WHERE {has_not_ended t} AND CASE WHEN $3 THEN t.{owner} IS NULL AND {has_active_status t}
    ELSE {has_living_status t} AND ($2 IS NULL OR {owner_text t} = $2) END
ORDER BY {owner_text t}, 1 LIMIT $1
