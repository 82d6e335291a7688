-- Says who may serve a session: an epoch that rises with every change of owner, a proof that an
-- owner stopped before it gave the session up, and which machines are alive. And tells every
-- listening machine which session changed, when the change commits.
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

CREATE OR REPLACE FUNCTION "preview_sessions_tower_ownership_epoch"() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $tower_ownership$
BEGIN
    IF TG_OP = 'INSERT' THEN
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
        IF pg_typeof(NEW."owner_epoch") <> 'bigint'::regtype THEN
            RAISE EXCEPTION 'the id of a session can change only if its epoch is a bigint';
        END IF;
        NEW."owner_epoch" := GREATEST(COALESCE(OLD."owner_epoch", 1) + 1,
            (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
        NEW."owner_released" := NULL;
    ELSIF (OLD."owner_epoch_of" COLLATE "C" IS DISTINCT FROM OLD."container_id"::text COLLATE "C" AND OLD."owner_epoch_of" IS DISTINCT FROM '') THEN
        -- The owner changed while this trigger was missing or disabled. Never a first epoch, which
        -- is served without a wait.
        NEW."owner_epoch" := GREATEST(COALESCE(OLD."owner_epoch", 1) + 1, 2);
        NEW."owner_released" := NULL;
    ELSIF OLD."container_id"::text COLLATE "C" IS DISTINCT FROM NEW."container_id"::text COLLATE "C" THEN
        NEW."owner_epoch" := COALESCE(OLD."owner_epoch", 1) + 1;
        -- The proof of a release: an owner gave the session up, and names the epoch that this
        -- makes. It holds for the epoch after that one, so whatever comes next voids it.
        IF OLD."container_id" IS NULL OR NEW."container_id" IS NOT NULL
            OR NEW."owner_released" IS DISTINCT FROM NEW."owner_epoch"
        THEN
            -- One that is ahead of the epoch was written while this trigger was missing.
            NEW."owner_released" := CASE WHEN OLD."owner_released" <= OLD."owner_epoch" THEN OLD."owner_released" END;
        END IF;
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
    FOR EACH ROW WHEN (
        OLD."container_id"::text COLLATE "C" IS DISTINCT FROM NEW."container_id"::text COLLATE "C"
        OR OLD."id"::text COLLATE "C" IS DISTINCT FROM NEW."id"::text COLLATE "C"
        OR OLD."owner_epoch" IS DISTINCT FROM NEW."owner_epoch"
        OR OLD."owner_released" IS DISTINCT FROM NEW."owner_released"
        OR OLD."owner_epoch_of" IS DISTINCT FROM NEW."owner_epoch_of"
        OR NEW."owner_epoch_of" COLLATE "C" IS DISTINCT FROM NEW."container_id"::text COLLATE "C"
    )
    EXECUTE FUNCTION "preview_sessions_tower_ownership_epoch"();

CREATE OR REPLACE FUNCTION "preview_sessions_tower_ownership"() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $tower_ownership$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM pg_notify('tower_ownership', '1 *');
        RETURN NULL;
    END IF;
    -- Cut, because a payload that is too long would fail the statement. No id is as long.
    IF TG_OP <> 'INSERT' THEN
        PERFORM pg_notify('tower_ownership', '1 ' || left(OLD."id"::text, 600));
    END IF;
    -- The same payload twice in a transaction is sent once.
    IF TG_OP <> 'DELETE' THEN
        PERFORM pg_notify('tower_ownership', '1 ' || left(NEW."id"::text, 600));
    END IF;
    RETURN NULL;
END
$tower_ownership$;

CREATE OR REPLACE TRIGGER tower_ownership_row
    AFTER INSERT OR DELETE ON "preview_sessions"
    FOR EACH ROW EXECUTE FUNCTION "preview_sessions_tower_ownership"();

CREATE OR REPLACE TRIGGER tower_ownership_change
    AFTER UPDATE OF "id", "container_id", "status", "container_url", "expires_at", "ended_at", "owner_epoch" ON "preview_sessions"
    FOR EACH ROW WHEN (
        OLD."id" IS DISTINCT FROM NEW."id"
        OR OLD."container_id" IS DISTINCT FROM NEW."container_id"
        OR OLD."status" IS DISTINCT FROM NEW."status"
        OR OLD."container_url" IS DISTINCT FROM NEW."container_url"
        OR OLD."expires_at" IS DISTINCT FROM NEW."expires_at"
        OR OLD."ended_at" IS DISTINCT FROM NEW."ended_at"
        OR OLD."owner_epoch" IS DISTINCT FROM NEW."owner_epoch"
    )
    EXECUTE FUNCTION "preview_sessions_tower_ownership"();

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
