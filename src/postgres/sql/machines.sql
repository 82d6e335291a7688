-- All machines that the directory knows, at most $1.
SELECT m.machine_id AS id, m.app, m.region, m.address, m.version,
    extract(epoch FROM now() - m.started_at)::float8 AS started,
    extract(epoch FROM now() - m.beat_at)::float8 AS beat,
    ({machine_presence m})::smallint AS presence, m.draining,
    extract(epoch FROM now() - m.rival_at)::float8 AS rival,
    m.left_at IS NOT NULL AS has_left, m.gone_at IS NOT NULL AS gone
FROM {machines} AS m ORDER BY m.machine_id LIMIT $1
