-- Makes the row of machine $1 that of process $2, unless an operator declared the machine gone. Returns
-- whether it was that of another process that has not left, or of one after such a process; and whether
-- there was a row.
WITH held AS MATERIALIZED (
    SELECT machine_id FROM {machines} WHERE machine_id = $1 FOR UPDATE
), registered AS (
    INSERT INTO {machines} AS m (machine_id, boot_id, app, region, address, version, draining)
    SELECT $1, $2, $3, $4, $5, $6, $7 FROM (SELECT count(*) FROM held) AS held
    ON CONFLICT (machine_id) DO UPDATE
    SET boot_id = EXCLUDED.boot_id, app = EXCLUDED.app, region = EXCLUDED.region,
        address = EXCLUDED.address, version = EXCLUDED.version, started_at = now(), beat_at = now(),
        steady_since = now(), draining = false, left_at = NULL, rival_at = NULL,
        took_over = m.took_over OR m.left_at IS NULL AND m.boot_id <> EXCLUDED.boot_id
    WHERE m.gone_at IS NULL
    RETURNING m.took_over
)
SELECT r.took_over, EXISTS (SELECT FROM held) AS was_there FROM registered AS r
