-- The words in the statuses of sessions that have an owner and no end, other than those that are known to
-- the lookup, each with how many sessions have it. Of the first 20,000 rows: there is no index of these.
SELECT s.status, count(*) AS n FROM (
    SELECT t.{status}::text AS status, t.{owner} IS NOT NULL AND {has_not_ended t} AS looks_alive
    FROM {table} AS t LIMIT 20000
) AS s
WHERE s.looks_alive AND s.status NOT IN ({known_words}) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20
