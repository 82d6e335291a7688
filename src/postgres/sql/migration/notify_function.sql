BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM pg_notify({channel}, '1 *');
        RETURN NULL;
    END IF;
    -- Cut, because a payload that is too long would fail the statement. No id is as long.
    IF TG_OP <> 'INSERT' THEN
        PERFORM pg_notify({channel}, '1 ' || left({notified OLD}, 600));
    END IF;
    -- The same payload twice in a transaction is sent once.
    IF TG_OP <> 'DELETE' THEN
        PERFORM pg_notify({channel}, '1 ' || left({notified NEW}, 600));
    END IF;
    RETURN NULL;
END
