-- A row that was there before counts as its first epoch; a new one begins as the trigger says.
ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {epoch} bigint NOT NULL DEFAULT 1;
ALTER TABLE {table} ALTER COLUMN {epoch} SET DEFAULT 0;
ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {released} bigint;

-- The owner for which the trigger set the epoch. Empty in a row that was there before, until it is
-- filled in below; NULL in a row with an owner that was written without the trigger. No default of
-- either column rewrites the table.
ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {epoch_of} text COLLATE "C" DEFAULT '';
ALTER TABLE {table} ALTER COLUMN {epoch_of} DROP DEFAULT;

-- A column that was there before may be empty in places.
DO {columns_fill};
