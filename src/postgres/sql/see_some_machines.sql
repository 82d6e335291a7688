-- Some machines that are not lost, to see what their ids look like.
SELECT m.machine_id AS id FROM {machines} AS m WHERE NOT {is_lost m} ORDER BY 1 LIMIT 20
