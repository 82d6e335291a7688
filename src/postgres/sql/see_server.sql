-- Whether the server is a standby, and who holds locks for longer than a second that the statements of
-- machines wait for: on the tables, and, by those that wait, on rows. At least one row.
--
-- What other users do is hidden from a user without pg_read_all_stats, and when they began.
SELECT pg_is_in_recovery() AS standby, l.*
FROM (SELECT 1) AS one LEFT JOIN LATERAL (
    SELECT a.pid, p.name AS place, l.mode, a.usename::text AS who, a.application_name AS program,
        a.state, extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS since,
        left(a.query, 120) AS query
    FROM unnest(ARRAY[{places}]::text[]) AS p(name)
    JOIN pg_locks AS l ON l.relation = to_regclass(p.name)::oid AND l.granted AND l.mode IN (
            'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'
        ) AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
    JOIN pg_stat_activity AS a ON a.pid = l.pid
    WHERE a.pid <> pg_backend_pid()
        AND COALESCE(a.xact_start < clock_timestamp() - interval '1 second', true)
    UNION
    SELECT b.pid, NULL, 'row', b.usename::text, b.application_name, b.state,
        extract(epoch FROM clock_timestamp() - b.xact_start)::float8, left(b.query, 120)
    FROM pg_stat_activity AS w
    CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS blocking(pid)
    JOIN pg_stat_activity AS b ON b.pid = blocking.pid
    JOIN pg_locks AS l ON l.pid = w.pid AND NOT l.granted AND l.locktype IN ('transactionid', 'tuple')
    WHERE w.wait_event_type = 'Lock' AND w.datname = current_database()
        AND w.application_name LIKE 'tower-ownership%'
        AND b.xact_start < clock_timestamp() - interval '1 second'
    LIMIT 20
) AS l ON true
ORDER BY l.since DESC NULLS LAST
