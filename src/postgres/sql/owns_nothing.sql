-- Whether machine $1 owns no active session, and whether the server is a standby, which knows only
-- what was true some time ago.
SELECT pg_is_in_recovery() AS standby, NOT EXISTS (
    SELECT FROM {table} AS t WHERE {owner_text t} = $1 AND {is_indexed_active t}
) AS owns_nothing
