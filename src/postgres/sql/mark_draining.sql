-- Says that process $2 of machine $1 drains.
UPDATE {machines} AS m SET draining = true FROM {held}
WHERE m.machine_id = held.machine_id AND m.boot_id = $2
RETURNING 1
