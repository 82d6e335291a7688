-- The fleet's freshness, which becomes $1 if there is none. An update that changes nothing, because
-- only a written row is returned.
INSERT INTO {fleet} AS f (freshness_ms) VALUES ($1)
ON CONFLICT (the_fleet) DO UPDATE SET freshness_ms = f.freshness_ms
RETURNING f.freshness_ms
