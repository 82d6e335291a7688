-- How many active sessions machine $1 owns, and whether the server is a standby.
SELECT pg_is_in_recovery() AS standby, (
    SELECT count(*) FROM {table} AS t WHERE {owner_text t} = $1 AND {is_indexed_active t}
) AS owned
