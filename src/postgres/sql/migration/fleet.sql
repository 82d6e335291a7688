CREATE TABLE IF NOT EXISTS {fleet} (
    the_fleet boolean PRIMARY KEY DEFAULT true CHECK (the_fleet)
);
ALTER TABLE {fleet}
    ADD COLUMN IF NOT EXISTS freshness_ms bigint NOT NULL CHECK (freshness_ms > 0);
