BEGIN
    IF EXISTS (
        SELECT FROM pg_catalog.pg_attribute
        WHERE attrelid = {table_literal}::regclass AND attname = {epoch_literal} AND NOT attnotnull
    ) THEN
        UPDATE {table} SET {epoch} = 1 WHERE {epoch} IS NULL;
        ALTER TABLE {table} ALTER COLUMN {epoch} SET NOT NULL;
    END IF;
END
