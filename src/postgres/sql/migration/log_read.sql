-- Announces what was appended and is committed, in the name of reader `me`. `holds`: its last call before
-- this one returned true, and was committed. `says`: listeners have to hear of a reader. False: another one reads.
--
-- What is announced is deleted. So each change is announced once it can be seen, however late it is
-- committed, and whichever machine reads. No position is kept that a late commit could fall behind.
DECLARE
    logs text[] := ARRAY[{log0_place}, {log1_place}, {log2_place}];
    lease bigint;
    renewed bigint;
    began bigint;
    is_held boolean;
    slot integer;
    pages bigint[];
    page bigint := 0;
    emptied integer;
    announced bigint;
    is_empty boolean;
BEGIN
    IF NOT pg_try_advisory_xact_lock({log_lock} | {lease_place}::regclass::oid::bigint) THEN
        RETURN false;
    END IF;
    lease := pg_sequence_last_value({lease_place}::regclass);
    renewed := lease >> 18;
    is_held := COALESCE(abs(renewed - (date_part('epoch', clock_timestamp()) * 1000)::bigint) < 1000, false);
    IF is_held AND (lease >> 2) & 65535 <> me THEN
        RETURN false;
    END IF;
    slot := LEAST(COALESCE(lease & 3, 0), 2);
    -- What a crash takes back is announced again, and all listeners have lost their connection.
    PERFORM set_config('synchronous_commit', 'off', true);
    -- One of the tables that nothing is appended to any more, unless an open transaction has written to it.
    -- A snapshot that is older than the lock would not show all that is in it.
    IF current_setting('transaction_isolation') = 'read committed' THEN
        FOR n IN 1..3 LOOP
            IF n <> slot + 1 AND pg_relation_size(logs[n]::regclass) > 0 THEN
                BEGIN
                    EXECUTE 'LOCK TABLE ' || logs[n] || ' IN ACCESS EXCLUSIVE MODE NOWAIT';
                    emptied := n;
                    EXIT;
                EXCEPTION WHEN lock_not_available THEN
                    NULL;
                END;
            END IF;
        END LOOP;
    END IF;
    FOR n IN 1..3 LOOP
        pages[n] := pg_relation_size(logs[n]::regclass) / current_setting('block_size')::bigint;
    END LOOP;
    -- In bites, so that a transaction of millions of changes is announced in many calls.
    WHILE page < GREATEST(pages[1], pages[2], pages[3]) LOOP
        WITH gone0 AS (
            DELETE FROM {log0} WHERE ctid >= format('(%s,0)', page)::tid AND ctid < format('(%s,0)', page + 512)::tid
            RETURNING id
        ), gone1 AS (
            DELETE FROM {log1} WHERE ctid >= format('(%s,0)', page)::tid AND ctid < format('(%s,0)', page + 512)::tid
            RETURNING id
        ), gone2 AS (
            DELETE FROM {log2} WHERE ctid >= format('(%s,0)', page)::tid AND ctid < format('(%s,0)', page + 512)::tid
            RETURNING id
        ), changed AS (
            SELECT id FROM gone0 UNION SELECT id FROM gone1 UNION SELECT id FROM gone2
        ), part AS (
            -- An id has at most 2,400 bytes, and a payload 7,999.
            SELECT id, sum(octet_length(id) + 1) OVER (ORDER BY id COLLATE "C") / 5500 AS number
            FROM changed WHERE id IS NOT NULL
        ), payload AS (
            SELECT '2 ' || string_agg(id, E'\n') AS text FROM part GROUP BY number
        )
        SELECT count(pg_notify({channel}, payload.text)) INTO announced FROM payload;
        page := page + 512;
        IF clock_timestamp() > now() + interval '250 milliseconds' THEN
            emptied := NULL;
            EXIT;
        END IF;
    END LOOP;
    IF emptied IS NOT NULL THEN
        EXECUTE 'SELECT NOT EXISTS (SELECT FROM ' || logs[emptied] || ')' INTO is_empty;
        IF is_empty THEN
            EXECUTE 'TRUNCATE ' || logs[emptied];
        END IF;
    END IF;
    -- A scan of 256 pages takes a fraction of a millisecond.
    IF pages[slot + 1] > 256 THEN
        FOR n IN 1..3 LOOP
            IF pg_relation_size(logs[n]::regclass) = 0 THEN
                slot := n - 1;
                EXIT;
            END IF;
        END LOOP;
    END IF;
    -- Only for a reader whose announcements are committed. The time is that of the transaction, so one that
    -- stays open renews nothing. A log that cannot be emptied stops growing: the lease runs out, and
    -- changes are notified by their own commits until it is emptied.
    IF pages[1] + pages[2] + pages[3] <= {log_pages} THEN
        began := (date_part('epoch', now()) * 1000)::bigint;
    ELSE
        began := COALESCE(renewed, 0);
    END IF;
    IF holds AND (NOT is_held OR renewed < began - 200 OR slot <> lease & 3) THEN
        PERFORM setval({lease_place}::regclass, (began << 18) | ((me & 65535)::bigint << 2) | slot);
    END IF;
    IF says THEN
        PERFORM pg_notify({channel}, '0 read');
    END IF;
    RETURN true;
END
