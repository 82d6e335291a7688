-- The fleet's lease TTL.
SELECT freshness_ms FROM {fleet} LIMIT 1
