BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM pg_notify({channel}, '1 *');
        RETURN NULL;
    END IF;
    -- Cut, because a payload that is too long would fail the statement.
    IF TG_OP <> 'INSERT' THEN
        PERFORM pg_notify({channel}, '1 ' || left(OLD.{id}::text, 100));
    END IF;
    -- The same payload twice in a transaction is sent once.
    IF TG_OP <> 'DELETE' THEN
        PERFORM pg_notify({channel}, '1 ' || left(NEW.{id}::text, 100));
    END IF;
    RETURN NULL;
END
