-- The statuses of some sessions.
SELECT DISTINCT status FROM (
    SELECT t.{status}::text AS status FROM {table} AS t WHERE t.{status} IS NOT NULL LIMIT 1000
) AS sample ORDER BY status
