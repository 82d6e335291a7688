-- The owners of some active sessions.
SELECT DISTINCT owner FROM (
    SELECT t.{owner}::text AS owner FROM {table} AS t
    WHERE {has_active_status t} AND t.{owner} IS NOT NULL LIMIT 100
) AS sample
