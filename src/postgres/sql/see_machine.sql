-- Machine $1, with its times in seconds until now.
SELECT region, version, draining, extract(epoch FROM now() - started_at)::float8 AS started,
    extract(epoch FROM now() - beat_at)::float8 AS beat,
    extract(epoch FROM now() - left_at)::float8 AS has_left,
    extract(epoch FROM now() - gone_at)::float8 AS gone,
    extract(epoch FROM now() - rival_at)::float8 AS rival
FROM {machines} WHERE machine_id = $1
