-- Machines under whose ids two processes run: another one than the row's has written within $1 seconds. The
-- last process is that of the row.
SELECT m.machine_id AS id, m.boot_id::text AS boot, m.address,
    extract(epoch FROM now() - m.started_at)::float8 AS started,
    extract(epoch FROM now() - m.rival_at)::float8 AS rival
FROM {machines} AS m
WHERE m.rival_at > now() - $1 * interval '1 second' ORDER BY 1 LIMIT $2
