-- The columns of the tables, with their types, a domain as what it is made of; and the columns with which
-- the indexes of the sessions' table begin, at least one row. A view has no index of its own, and what is
-- below it is not judged.
WITH place AS (
    SELECT p.name, to_regclass(p.name)::oid AS relid FROM unnest(ARRAY[{places}]) AS p(name)
)
SELECT 'column' AS about, p.name AS place, a.attname::text AS name, {type_name} AS found
FROM place AS p
JOIN pg_attribute AS a ON a.attrelid = p.relid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type AS t ON t.oid = a.atttypid
UNION ALL
SELECT 'index', p.name, a.attname::text, NULL
FROM place AS p JOIN pg_class AS c ON c.oid = p.relid AND c.relkind IN ('r', 'p', 'm')
LEFT JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL
LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
WHERE p.name = {table_literal}
