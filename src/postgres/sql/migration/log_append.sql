DECLARE
    lease bigint;
BEGIN
    -- What is usual comes first: each condition costs a transaction of one row about a microsecond.
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        IF NEW.{epoch} OPERATOR(pg_catalog.=) (OLD.{epoch} OPERATOR(pg_catalog.+) 1)
            AND NEW.{id} OPERATOR(pg_catalog.=) OLD.{id}
        THEN
            NULL;
        -- Here and not in a WHEN of the trigger, which the server would parse anew for every statement.
        ELSIF {unchanged} THEN
            RETURN NULL;
        ELSIF {notified NEW} OPERATOR(pg_catalog.<>) {notified OLD} THEN
            PERFORM pg_catalog.pg_notify({channel}, '1 ' OPERATOR(pg_catalog.||) pg_catalog.left({notified OLD}, 600));
        END IF;
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE' THEN
        PERFORM pg_catalog.pg_notify({channel}, '1 *');
        RETURN NULL;
    END IF;
    -- A reader is there if it has renewed its lease within the last second. On either side of now, because a
    -- clock that was set back leaves leases in the future.
    lease := pg_catalog.pg_sequence_last_value(pg_catalog.to_regclass({lease_place}));
    IF pg_catalog.abs((lease OPERATOR(pg_catalog.>>) 18) OPERATOR(pg_catalog.-)
        (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) OPERATOR(pg_catalog.*) 1000::pg_catalog.float8)::bigint
    ) OPERATOR(pg_catalog.<) 1000 THEN
        IF (lease OPERATOR(pg_catalog.&) 3::bigint) OPERATOR(pg_catalog.=) 0 THEN
            INSERT INTO {log0} VALUES (pg_catalog.left(COALESCE({notified NEW}, {notified OLD}), 600));
        ELSIF (lease OPERATOR(pg_catalog.&) 3::bigint) OPERATOR(pg_catalog.=) 1 THEN
            INSERT INTO {log1} VALUES (pg_catalog.left(COALESCE({notified NEW}, {notified OLD}), 600));
        ELSE
            INSERT INTO {log2} VALUES (pg_catalog.left(COALESCE({notified NEW}, {notified OLD}), 600));
        END IF;
    ELSE
        -- Cut, because a payload that is too long would fail the statement. No id is as long.
        PERFORM pg_catalog.pg_notify({channel},
            '1 ' OPERATOR(pg_catalog.||) pg_catalog.left(COALESCE({notified NEW}, {notified OLD}), 600));
    END IF;
    RETURN NULL;
END
