-- What ownership needs and is not so: triggers that are missing or disabled, and those that run after the
-- ones that raise epochs; whether commits are kept, rows are visible, and what ownership writes may be
-- written.
WITH place AS (
    SELECT p.name, to_regclass(p.name)::oid AS relid, p.name = {table_literal} AS is_of_sessions
    FROM unnest(ARRAY[{places}]) AS p(name)
), before AS (
    SELECT t.tgname, count(*) FILTER (WHERE t.tgfoid = to_regprocedure({epoch_function}))
            OVER (ORDER BY t.tgname) AS ours,
        t.tgfoid = to_regprocedure({epoch_function}) AS is_ours
    FROM place AS p JOIN pg_trigger AS t ON t.tgrelid = p.relid
    WHERE p.is_of_sessions AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
        AND t.tgtype & 3 = 3 AND t.tgtype & 20 <> 0
)
SELECT 'missing' AS about, m.place, m.trigger AS name FROM ({missing_triggers}) AS m(trigger, place, is_there)
UNION ALL (
    SELECT 'late', NULL, b.tgname::text FROM before AS b
    WHERE b.ours = {epoch_triggers} AND b.is_ours IS NOT TRUE ORDER BY b.tgname
)
UNION ALL
SELECT 'not-reusable', {table_literal}, NULL
WHERE {reusable_ids} AND EXISTS (
    SELECT FROM pg_proc AS f
    WHERE f.oid = to_regprocedure({epoch_function}) AND strpos(f.prosrc, 'are reusable only if') = 0
)
UNION ALL SELECT 'asynchronous', NULL, NULL WHERE current_setting('synchronous_commit') = 'off'
UNION ALL
SELECT CASE WHEN c.relpersistence = 'u' THEN 'unlogged' ELSE 'row-security' END, p.name, NULL
FROM place AS p JOIN pg_class AS c ON c.oid = p.relid
WHERE c.relpersistence = 'u' OR row_security_active(c.oid)
UNION ALL
SELECT 'privilege', format('column "%s" of %s', replace(a.attname, '"', '""'), p.name), 'UPDATE'
FROM place AS p
JOIN pg_attribute AS a ON a.attrelid = p.relid AND a.attname = ANY(ARRAY[{written}])
WHERE p.is_of_sessions AND NOT has_column_privilege(p.relid, a.attnum, 'UPDATE')
UNION ALL
SELECT 'privilege', 'table ' || p.name, w.privilege
FROM place AS p CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) AS w(privilege)
WHERE NOT p.is_of_sessions AND NOT has_any_column_privilege(p.relid, w.privilege)
