-- Why a beat of process $2 of machine $1 found no row: 1 declared gone, 2 of another process, which
-- reads in the row that this one is still there; and the process whose the row is.
UPDATE {machines} SET rival_at = CASE WHEN boot_id = $2 THEN rival_at ELSE now() END
WHERE machine_id = $1
RETURNING CASE WHEN gone_at IS NOT NULL THEN 1 WHEN boot_id <> $2 THEN 2 ELSE 0 END, boot_id
