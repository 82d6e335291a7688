-- Says that process $2 of machine $1 is alive. Returns a number that changes whenever a process that
-- was there before says that it is still there.
--
-- A gap is half of the time after which a machine is lost. With a whole one, an outage that is a little
-- shorter would be none: a witness that beats right after it would be steady, and every machine whose
-- beat is due a little later would be lost. After an outage of less than half, all have beaten within
-- that time of their last beat, since two intervals are at most the other half.
UPDATE {machines}
SET beat_at = now(), steady_since = CASE WHEN beat_at BETWEEN now() - {gap} AND now() + {gap}
    THEN steady_since ELSE now() END
WHERE machine_id = $1 AND boot_id = $2 AND gone_at IS NULL
RETURNING (extract(epoch FROM rival_at) * 1000000)::bigint
