-- Makes the row of machine $1 again. A process that has made one meanwhile was started later.
INSERT INTO {machines} (machine_id, boot_id, app, region, address, version, draining, took_over)
VALUES ($1, $2, $3, $4, $5, $6, $7, true)
ON CONFLICT (machine_id) DO NOTHING
RETURNING 1
