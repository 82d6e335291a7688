-- owner(owner, n): the owners of living sessions, each once, in order, with a number, one more than are
-- looked at; and known(owner, presence). A SELECT DISTINCT would read every row to find a thousand
-- owners; this asks the index of owners for the next one after each.
owner AS (
    (
        SELECT {owner_text t} AS owner, 1 AS n FROM {table} AS t
        WHERE {condition} AND {owner_text t} IS NOT NULL AND {is_in_index t}
        ORDER BY {owner_text t} LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT {owner_text t} FROM {table} AS t
        WHERE {owner_text t} > o.owner AND {is_in_index t}
        ORDER BY {owner_text t} LIMIT 1
    ), o.n + 1
    FROM owner AS o WHERE o.owner IS NOT NULL AND o.n <= {most_owners}
), known AS MATERIALIZED (
    SELECT o.owner, {presence o} AS presence FROM owner AS o WHERE o.owner IS NOT NULL
)
