-- Says that process $2 of machine $1 is away. The next process need not wait if this one had no other
-- to wait for ($3).
UPDATE {machines} AS m SET left_at = now(), took_over = m.took_over AND NOT $3 FROM {held}
WHERE m.machine_id = held.machine_id AND m.boot_id = $2
RETURNING 1
