BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM pg_catalog.pg_notify({channel}, '1 *');
        RETURN NULL;
    END IF;
    -- Here and not in a WHEN of the trigger, which the server would parse anew for every statement.
    IF TG_OP = 'UPDATE' THEN
        IF {unchanged} THEN
            RETURN NULL;
        END IF;
    END IF;
    -- Cut, because a payload that is too long would fail the statement. No id is as long.
    IF TG_OP <> 'INSERT' THEN
        PERFORM pg_catalog.pg_notify({channel}, '1 ' || pg_catalog.left({notified OLD}, 600));
    END IF;
    -- The same payload twice in a transaction is sent once.
    IF TG_OP <> 'DELETE' THEN
        PERFORM pg_catalog.pg_notify({channel}, '1 ' || pg_catalog.left({notified NEW}, 600));
    END IF;
    RETURN NULL;
END
