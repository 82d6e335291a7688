-- Says who may serve a session: an epoch that rises with every change of owner, a proof that an
-- owner stopped before it gave the session up, and which machines are alive. And tells every
-- listening machine which session changed, soon after the change commits.
--
-- May be applied again and again; needs PostgreSQL 14. Apply it in one transaction, as the owner of
-- the table. It locks the table against readers and writers until that transaction ends, and waits for
-- transactions that use it while all later ones wait behind it: `SET lock_timeout` first. What takes long
-- on a large table (the index, and the column "owner_epoch_of" of rows that were there before) it leaves
-- out there, and warns with the statement to run afterwards. `PostgresDirectory::migrate` and
-- `ownership migrate --run` lock less: they do only what is missing.
--
-- The server refuses to change the type of a column that a trigger names. To do that, drop the
-- triggers, change it, and apply this again, all in one transaction. A session whose owner changes
-- while they are missing is served by no machine until this is applied again:
--     DROP FUNCTION "preview_sessions_tower_ownership_epoch", "preview_sessions_tower_ownership" CASCADE;

-- A row that was there before counts as its first epoch; a new one begins as the trigger says.
ALTER TABLE "preview_sessions" ADD COLUMN IF NOT EXISTS "owner_epoch" bigint NOT NULL DEFAULT 1;
ALTER TABLE "preview_sessions" ALTER COLUMN "owner_epoch" SET DEFAULT 0;
ALTER TABLE "preview_sessions" ADD COLUMN IF NOT EXISTS "owner_released" bigint;

-- The owner for which the trigger set the epoch. Empty in a row that was there before, until it is
-- filled in below; NULL in a row with an owner that was written without the trigger. No default of
-- either column rewrites the table.
ALTER TABLE "preview_sessions" ADD COLUMN IF NOT EXISTS "owner_epoch_of" text COLLATE "C" DEFAULT '';
ALTER TABLE "preview_sessions" ALTER COLUMN "owner_epoch_of" DROP DEFAULT;

-- A column that was there before may be empty in places.
DO $tower_ownership$
BEGIN
    IF EXISTS (
        SELECT FROM pg_catalog.pg_attribute
        WHERE attrelid = '"preview_sessions"'::regclass AND attname = 'owner_epoch' AND NOT attnotnull
    ) THEN
        UPDATE "preview_sessions" SET "owner_epoch" = 1 WHERE "owner_epoch" IS NULL;
        ALTER TABLE "preview_sessions" ALTER COLUMN "owner_epoch" SET NOT NULL;
    END IF;
END
$tower_ownership$;

-- No `SET search_path`, and no WHEN of the triggers: either costs each statement more than the function does.
-- Every operator and function that is used exists in pg_catalog for exactly these types.
CREATE OR REPLACE FUNCTION "preview_sessions_tower_ownership_epoch"() RETURNS trigger
    LANGUAGE plpgsql
AS $tower_ownership$
BEGIN
    -- What is usual comes first: each condition costs a transaction of one row about a microsecond.
    IF TG_OP = 'UPDATE' AND OLD."container_id"::text COLLATE "C" IS DISTINCT FROM NEW."container_id"::text COLLATE "C"
        AND NOT (OLD."owner_epoch_of" COLLATE "C" IS DISTINCT FROM OLD."container_id"::text COLLATE "C" AND OLD."owner_epoch_of" IS DISTINCT FROM '') AND OLD."id"::text COLLATE "C" IS NOT DISTINCT FROM NEW."id"::text COLLATE "C"
    THEN
        NEW."owner_epoch" := COALESCE(OLD."owner_epoch", 1) + 1;
        -- The proof of a release: an owner gave the session up, and names the epoch that this
        -- makes. It holds for the epoch after that one, so whatever comes next voids it. Of a proof that
        -- is older, one that is ahead of the epoch was written while this trigger was missing.
        NEW."owner_released" := CASE
            WHEN OLD."container_id" IS NOT NULL AND NEW."container_id" IS NULL AND NEW."owner_released" = NEW."owner_epoch"
                THEN NEW."owner_released"
            WHEN OLD."owner_released" <= OLD."owner_epoch" THEN OLD."owner_released" END;
    ELSIF TG_OP = 'UPDATE' AND OLD."container_id"::text COLLATE "C" IS NOT DISTINCT FROM NEW."container_id"::text COLLATE "C"
        AND OLD."id"::text COLLATE "C" IS NOT DISTINCT FROM NEW."id"::text COLLATE "C"
        AND OLD."owner_epoch" = NEW."owner_epoch" AND OLD."owner_released" IS NOT DISTINCT FROM NEW."owner_released"
        AND OLD."owner_epoch_of" IS NOT DISTINCT FROM NEW."owner_epoch_of"
        AND NEW."owner_epoch_of" COLLATE "C" IS NOT DISTINCT FROM NEW."container_id"::text COLLATE "C"
    THEN
        -- A write of other columns.
        RETURN NEW;
    ELSIF TG_OP = 'INSERT' THEN
        -- An UPDATE that moves a row to another partition arrives here, so the epoch may be that of
        -- a row which lives on. It may be higher than it has to be, never lower.
        IF NEW."owner_epoch_of" <> '' AND NEW."owner_epoch_of" COLLATE "C" IS DISTINCT FROM NEW."container_id"::text COLLATE "C" THEN
            NEW."owner_epoch" := NEW."owner_epoch" + 1;
        END IF;
        NEW."owner_epoch" := GREATEST(NEW."owner_epoch", CASE WHEN NEW."container_id" IS NULL THEN 0 ELSE 1 END);
        -- Such a row brings its proof along, without which its owner would wait again. One that
        -- names no owner for its epoch, or another one, is not such a row.
        IF NEW."owner_epoch_of" COLLATE "C" IS DISTINCT FROM NEW."container_id"::text COLLATE "C"
            OR NEW."owner_released" > NEW."owner_epoch" - (CASE WHEN NEW."container_id" IS NULL THEN 0 ELSE 1 END)
        THEN
            NEW."owner_released" := NULL;
        END IF;
    ELSIF OLD."id"::text COLLATE "C" IS DISTINCT FROM NEW."id"::text COLLATE "C" THEN
        -- Rows may swap ids, and the row that had this id before may be at any epoch. The clock is
        -- ahead of all epochs that were counted, and of those that an earlier change of id made.
        IF pg_catalog.pg_typeof(NEW."owner_epoch")::text <> 'bigint' THEN
            RAISE EXCEPTION 'the id of a session can change only if its epoch is a bigint';
        END IF;
        NEW."owner_epoch" := GREATEST(COALESCE(OLD."owner_epoch", 1) + 1,
            (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000::numeric)::bigint);
        NEW."owner_released" := NULL;
    ELSIF (OLD."owner_epoch_of" COLLATE "C" IS DISTINCT FROM OLD."container_id"::text COLLATE "C" AND OLD."owner_epoch_of" IS DISTINCT FROM '') THEN
        -- The owner changed while this trigger was missing or disabled. Never a first epoch, which
        -- is served without a wait.
        NEW."owner_epoch" := GREATEST(COALESCE(OLD."owner_epoch", 1) + 1, 2);
        NEW."owner_released" := NULL;
    ELSE
        NEW."owner_epoch" := COALESCE(OLD."owner_epoch", 1);
        NEW."owner_released" := CASE WHEN OLD."owner_released" <= OLD."owner_epoch" THEN OLD."owner_released" END;
    END IF;
    -- The owner that the epoch is for. A reader that finds another one knows that the epoch proves
    -- nothing.
    NEW."owner_epoch_of" := NEW."container_id"::text;
    RETURN NEW;
END
$tower_ownership$;

-- Triggers run in the order of their names, and these have to see what the others made of the row.
-- No `UPDATE OF`: it would look at the statement, and another trigger may change the owner, too.
-- Nor `ENABLE ALWAYS`: a logical replica has to keep the epochs of its publisher.
CREATE OR REPLACE TRIGGER zz_tower_ownership_insert
    BEFORE INSERT ON "preview_sessions"
    FOR EACH ROW EXECUTE FUNCTION "preview_sessions_tower_ownership_epoch"();

CREATE OR REPLACE TRIGGER zz_tower_ownership_update
    BEFORE UPDATE ON "preview_sessions"
    FOR EACH ROW EXECUTE FUNCTION "preview_sessions_tower_ownership_epoch"();

-- The change log. While a machine reads it, changes are appended to it, and the machine announces all that are
-- new at once. Otherwise each change is notified by its own commit. Commits that notify wait for each other,
-- and wake every listener.
DO $tower_ownership_$
DECLARE
    -- The functions name what they use with its schema, which is that of the table.
    home text := (
        SELECT pg_catalog.quote_ident(n.nspname)
        FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.oid = '"preview_sessions"'::regclass
    );
    name text;
BEGIN
    -- No index, and no room for one: a table is emptied when it has grown to some megabytes. The identity
    -- is for a publication of all tables, which would otherwise refuse to delete from it.
    FOREACH name IN ARRAY ARRAY['"preview_sessions_tower_ownership_log0"', '"preview_sessions_tower_ownership_log1"', '"preview_sessions_tower_ownership_log2"'] LOOP
        IF to_regclass(home || '.' || name) IS NULL THEN
            EXECUTE 'CREATE TABLE ' || home || '.' || name || ' (id text)';
            EXECUTE 'ALTER TABLE ' || home || '.' || name || ' REPLICA IDENTITY FULL';
        END IF;
    END LOOP;
    -- The reader's lease: when it was renewed, by which reader, and into which table changes go. Every writer
    -- reads it. It is a sequence because that is written in place: of a row, each version that an open
    -- snapshot keeps would make every writer slower.
    EXECUTE 'CREATE SEQUENCE IF NOT EXISTS ' || home || '.' || '"preview_sessions_tower_ownership_lease"'
        || ' OWNED BY ' || home || '.' || '"preview_sessions_tower_ownership_log0"' || '.id';
    EXECUTE 'CREATE OR REPLACE FUNCTION ' || home || '.' || '"preview_sessions_tower_ownership_read"' || '(me integer, holds boolean, says boolean)
        RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS '
        || pg_catalog.quote_literal(pg_catalog.replace($tower_ownership$
-- Announces what was appended and is committed, in the name of reader `me`. `holds`: its last call before
-- this one returned true, and was committed. `says`: listeners have to hear of a reader. False: another one reads.
--
-- What is announced is deleted. So each change is announced once it can be seen, however late it is
-- committed, and whichever machine reads. No position is kept that a late commit could fall behind.
DECLARE
    logs text[] := ARRAY[$tower_name$@schema@."preview_sessions_tower_ownership_log0"$tower_name$, $tower_name$@schema@."preview_sessions_tower_ownership_log1"$tower_name$, $tower_name$@schema@."preview_sessions_tower_ownership_log2"$tower_name$];
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
    IF NOT pg_try_advisory_xact_lock(8390043854811693056 | $tower_name$@schema@."preview_sessions_tower_ownership_lease"$tower_name$::regclass::oid::bigint) THEN
        RETURN false;
    END IF;
    lease := pg_sequence_last_value($tower_name$@schema@."preview_sessions_tower_ownership_lease"$tower_name$::regclass);
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
            DELETE FROM @schema@."preview_sessions_tower_ownership_log0" WHERE ctid >= format('(%s,0)', page)::tid AND ctid < format('(%s,0)', page + 512)::tid
            RETURNING id
        ), gone1 AS (
            DELETE FROM @schema@."preview_sessions_tower_ownership_log1" WHERE ctid >= format('(%s,0)', page)::tid AND ctid < format('(%s,0)', page + 512)::tid
            RETURNING id
        ), gone2 AS (
            DELETE FROM @schema@."preview_sessions_tower_ownership_log2" WHERE ctid >= format('(%s,0)', page)::tid AND ctid < format('(%s,0)', page + 512)::tid
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
        SELECT count(pg_notify('tower_ownership', payload.text)) INTO announced FROM payload;
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
    IF pages[1] + pages[2] + pages[3] <= 8192 THEN
        began := (date_part('epoch', now()) * 1000)::bigint;
    ELSE
        began := COALESCE(renewed, 0);
    END IF;
    IF holds AND (NOT is_held OR renewed < began - 200 OR slot <> lease & 3) THEN
        PERFORM setval($tower_name$@schema@."preview_sessions_tower_ownership_lease"$tower_name$::regclass, (began << 18) | ((me & 65535)::bigint << 2) | slot);
    END IF;
    IF says THEN
        PERFORM pg_notify('tower_ownership', '0 read');
    END IF;
    RETURN true;
END
$tower_ownership$, '@schema@', home));
    -- Writers need no rights on the log. No `SET search_path`, which costs each call more than the rest of it:
    -- everything that a function with the owner's rights uses is named with its schema.
    EXECUTE 'CREATE OR REPLACE FUNCTION ' || home || '.' || '"preview_sessions_tower_ownership"' || '()
        RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS '
        || pg_catalog.quote_literal(pg_catalog.replace($tower_ownership$
DECLARE
    lease bigint;
BEGIN
    -- What is usual comes first: each condition costs a transaction of one row about a microsecond.
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        IF NEW."owner_epoch" OPERATOR(pg_catalog.=) (OLD."owner_epoch" OPERATOR(pg_catalog.+) 1)
            AND NEW."id" OPERATOR(pg_catalog.=) OLD."id"
        THEN
            NULL;
        -- Here and not in a WHEN of the trigger, which the server would parse anew for every statement.
        ELSIF (OLD."id" OPERATOR(pg_catalog.=) NEW."id" OR OLD."id" IS NULL AND NEW."id" IS NULL)
            AND (OLD."container_id" OPERATOR(pg_catalog.=) NEW."container_id" OR OLD."container_id" IS NULL AND NEW."container_id" IS NULL)
            AND (OLD."status" OPERATOR(pg_catalog.=) NEW."status" OR OLD."status" IS NULL AND NEW."status" IS NULL)
            AND (OLD."container_url" OPERATOR(pg_catalog.=) NEW."container_url" OR OLD."container_url" IS NULL AND NEW."container_url" IS NULL)
            AND (OLD."expires_at" OPERATOR(pg_catalog.=) NEW."expires_at" OR OLD."expires_at" IS NULL AND NEW."expires_at" IS NULL)
            AND (OLD."ended_at" OPERATOR(pg_catalog.=) NEW."ended_at" OR OLD."ended_at" IS NULL AND NEW."ended_at" IS NULL)
            AND (OLD."owner_epoch" OPERATOR(pg_catalog.=) NEW."owner_epoch" OR OLD."owner_epoch" IS NULL AND NEW."owner_epoch" IS NULL) THEN
            RETURN NULL;
        ELSIF NEW."id"::pg_catalog.text OPERATOR(pg_catalog.<>) OLD."id"::pg_catalog.text THEN
            PERFORM pg_catalog.pg_notify('tower_ownership', '1 ' OPERATOR(pg_catalog.||) pg_catalog.left(OLD."id"::pg_catalog.text, 600));
        END IF;
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE' THEN
        PERFORM pg_catalog.pg_notify('tower_ownership', '1 *');
        RETURN NULL;
    END IF;
    -- A reader is there if it has renewed its lease within the last second. On either side of now, because a
    -- clock that was set back leaves leases in the future.
    lease := pg_catalog.pg_sequence_last_value(pg_catalog.to_regclass($tower_name$@schema@."preview_sessions_tower_ownership_lease"$tower_name$));
    IF pg_catalog.abs((lease OPERATOR(pg_catalog.>>) 18) OPERATOR(pg_catalog.-)
        (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) OPERATOR(pg_catalog.*) 1000::pg_catalog.float8)::bigint
    ) OPERATOR(pg_catalog.<) 1000 THEN
        IF (lease OPERATOR(pg_catalog.&) 3::bigint) OPERATOR(pg_catalog.=) 0 THEN
            INSERT INTO @schema@."preview_sessions_tower_ownership_log0" VALUES (pg_catalog.left(COALESCE(NEW."id"::pg_catalog.text, OLD."id"::pg_catalog.text), 600));
        ELSIF (lease OPERATOR(pg_catalog.&) 3::bigint) OPERATOR(pg_catalog.=) 1 THEN
            INSERT INTO @schema@."preview_sessions_tower_ownership_log1" VALUES (pg_catalog.left(COALESCE(NEW."id"::pg_catalog.text, OLD."id"::pg_catalog.text), 600));
        ELSE
            INSERT INTO @schema@."preview_sessions_tower_ownership_log2" VALUES (pg_catalog.left(COALESCE(NEW."id"::pg_catalog.text, OLD."id"::pg_catalog.text), 600));
        END IF;
    ELSE
        -- Cut, because a payload that is too long would fail the statement. No id is as long.
        PERFORM pg_catalog.pg_notify('tower_ownership',
            '1 ' OPERATOR(pg_catalog.||) pg_catalog.left(COALESCE(NEW."id"::pg_catalog.text, OLD."id"::pg_catalog.text), 600));
    END IF;
    RETURN NULL;
END
$tower_ownership$, '@schema@', home));
END
$tower_ownership_$;

CREATE OR REPLACE TRIGGER tower_ownership_row
    AFTER INSERT OR DELETE ON "preview_sessions"
    FOR EACH ROW EXECUTE FUNCTION "preview_sessions_tower_ownership"();

CREATE OR REPLACE TRIGGER tower_ownership_change
    AFTER UPDATE OF "id", "container_id", "status", "container_url", "expires_at", "ended_at", "owner_epoch" ON "preview_sessions"
    FOR EACH ROW EXECUTE FUNCTION "preview_sessions_tower_ownership"();

CREATE OR REPLACE TRIGGER tower_ownership_truncate
    AFTER TRUNCATE ON "preview_sessions"
    FOR EACH STATEMENT EXECUTE FUNCTION "preview_sessions_tower_ownership"();

-- A machine's row is updated every few seconds: room in the page, and no index on the time, let
-- the server do that in place.
CREATE TABLE IF NOT EXISTS "ownership_machines" (
    machine_id text COLLATE "C" PRIMARY KEY
) WITH (fillfactor = 50);
ALTER TABLE "ownership_machines"
    ADD COLUMN IF NOT EXISTS boot_id uuid NOT NULL,
    ADD COLUMN IF NOT EXISTS app text,
    ADD COLUMN IF NOT EXISTS region text,
    ADD COLUMN IF NOT EXISTS address text,
    ADD COLUMN IF NOT EXISTS version text,
    ADD COLUMN IF NOT EXISTS started_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS beat_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS steady_since timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS draining boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS left_at timestamptz,
    ADD COLUMN IF NOT EXISTS gone_at timestamptz,
    ADD COLUMN IF NOT EXISTS rival_at timestamptz,
    ADD COLUMN IF NOT EXISTS took_over boolean NOT NULL DEFAULT false;

-- One row: for how long every machine of the fleet may rely on what it read.
CREATE TABLE IF NOT EXISTS "ownership_fleet" (
    the_fleet boolean PRIMARY KEY DEFAULT true CHECK (the_fleet)
);
ALTER TABLE "ownership_fleet"
    ADD COLUMN IF NOT EXISTS freshness_ms bigint NOT NULL CHECK (freshness_ms > 0);

-- For giving up all sessions of a machine, and for looking after all that are owned, those that
-- are being created among them.
DO $tower_ownership$
DECLARE
    -- An enum rejects every word that is not one of its labels.
    labels text[] := ARRAY(
        SELECT e.enumlabel::text FROM pg_catalog.pg_attribute AS a
        JOIN pg_catalog.pg_enum AS e ON e.enumtypid = a.atttypid
        WHERE a.attrelid = to_regclass('"preview_sessions"') AND a.attname = 'status'
    );
    words text[] := ARRAY(
        SELECT known.word FROM unnest(ARRAY['active', 'creating', 'starting', 'pending', 'provisioning']) WITH ORDINALITY AS known(word, place)
        WHERE known.place <= 1 OR labels = ARRAY[]::text[] OR known.word = ANY(labels)
        ORDER BY known.place
    );
    indexed text := '"preview_sessions" (("container_id"::text COLLATE "C"))' || ' WHERE "status" IN (' || (
        SELECT string_agg(quote_literal(known.word), ', ' ORDER BY known.place)
        FROM unnest(words) WITH ORDINALITY AS known(word, place)
    ) || ')';
    holds_others boolean := EXISTS (
        SELECT FROM pg_catalog.pg_index AS i CROSS JOIN unnest(words) AS known(word)
        WHERE i.indexrelid = to_regclass('"preview_sessions_tower_ownership_owner"') AND i.indrelid = '"preview_sessions"'::regclass
        AND strpos(pg_get_expr(i.indpred, i.indrelid), quote_literal(known.word)) = 0
    );
BEGIN
    IF (
        SELECT sum(pg_catalog.pg_relation_size(relid)) FROM (
            SELECT '"preview_sessions"'::regclass AS relid
            UNION SELECT relid FROM pg_catalog.pg_partition_tree('"preview_sessions"'::regclass)
        ) AS tree
    ) <= 33554432 THEN
        IF holds_others THEN
            DROP INDEX "preview_sessions_tower_ownership_owner";
        END IF;
        EXECUTE 'CREATE INDEX IF NOT EXISTS "preview_sessions_tower_ownership_owner" ON ' || indexed;
        UPDATE "preview_sessions" AS t SET "owner_epoch" = t."owner_epoch", "owner_epoch_of" = t."container_id"::text WHERE t."owner_epoch_of" COLLATE "C" IS DISTINCT FROM t."container_id"::text COLLATE "C";
    ELSE
        IF EXISTS (SELECT FROM "preview_sessions" AS t WHERE t."owner_epoch_of" COLLATE "C" IS DISTINCT FROM t."container_id"::text COLLATE "C") THEN
            RAISE WARNING USING MESSAGE = 'left to do, in bites: UPDATE "preview_sessions" AS t SET "owner_epoch" = t."owner_epoch", "owner_epoch_of" = t."container_id"::text WHERE t."owner_epoch_of" COLLATE "C" IS DISTINCT FROM t."container_id"::text COLLATE "C"';
        END IF;
        IF to_regclass('"preview_sessions_tower_ownership_owner"') IS NULL THEN
            RAISE WARNING USING MESSAGE = 'left to do: CREATE INDEX CONCURRENTLY "preview_sessions_tower_ownership_owner" ON ' || indexed;
        ELSIF holds_others THEN
            RAISE WARNING USING MESSAGE = 'left to do: ALTER INDEX "preview_sessions_tower_ownership_owner" RENAME TO "preview_sessions_tower_ownership_owner_old"; CREATE INDEX CONCURRENTLY "preview_sessions_tower_ownership_owner" ON ' || indexed || '; DROP INDEX CONCURRENTLY "preview_sessions_tower_ownership_owner_old"';
        END IF;
    END IF;
END
$tower_ownership$;
