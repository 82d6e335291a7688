-- What this user would have to be granted for a machine's work, as statements: to read sessions, and,
-- where machines are kept, to write owners and heartbeats.
SELECT format('GRANT %s ON %s TO %I', string_agg(w.privilege, ', ' ORDER BY w.privilege), p.name, current_user)
    AS grant
FROM unnest(ARRAY[{places}]::text[]) AS p(name)
JOIN pg_class AS c ON c.oid = to_regclass(p.name)::oid
CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) AS w(privilege)
WHERE NOT has_any_column_privilege(c.oid, w.privilege)
    AND (w.privilege = 'SELECT' OR {keeps_ownership} AND (w.privilege = 'UPDATE' OR p.name <> {table_literal}))
GROUP BY p.name ORDER BY p.name
