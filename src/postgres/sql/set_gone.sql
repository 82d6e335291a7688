-- Declares machine $1 gone, or takes that back if $2 is false.
UPDATE {machines} AS m SET gone_at = CASE WHEN $2 THEN COALESCE(m.gone_at, now()) END FROM {held}
WHERE m.machine_id = held.machine_id
RETURNING 1
