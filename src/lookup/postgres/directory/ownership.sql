-- Says who may serve a session: an epoch that rises with every change of owner, a proof that an
-- owner stopped before it gave the session up, and which machines are alive. And tells every
-- listening machine which session changed, when the change commits.
--
-- May be applied again and again; needs PostgreSQL 14. Apply it in one transaction, as the owner of
-- the table. It locks everybody out of the table until that transaction ends, and waits for those
-- who are using it while everybody else waits behind it: `SET lock_timeout` first. What takes long
-- is the index; on a large table make it before, outside of a transaction, by the same statement
-- with CONCURRENTLY.
--
-- The server lets nobody change the type of a column that a trigger names. To do that, or to be rid
-- of the triggers (without them epochs stand still, and two machines may serve one session):
--     DROP FUNCTION "preview_sessions_tower_ownership_epoch", "preview_sessions_tower_ownership" CASCADE;

-- A row that was there before counts as its first epoch; a new one begins as the trigger says.
ALTER TABLE "preview_sessions" ADD COLUMN IF NOT EXISTS "owner_epoch" bigint NOT NULL DEFAULT 1;
ALTER TABLE "preview_sessions" ALTER COLUMN "owner_epoch" SET DEFAULT 0;
ALTER TABLE "preview_sessions" ADD COLUMN IF NOT EXISTS "owner_released" bigint;

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
    -- Whatever the writer says.
    IF TG_OP = 'INSERT' THEN
        NEW."owner_epoch" := CASE WHEN NEW."container_id" IS NULL THEN 0 ELSE 1 END;
        NEW."owner_released" := NULL;
        RETURN NEW;
    END IF;
    IF OLD."container_id"::text COLLATE "C" IS DISTINCT FROM NEW."container_id"::text COLLATE "C"
        OR OLD."id"::text COLLATE "C" IS DISTINCT FROM NEW."id"::text COLLATE "C"
    THEN
        NEW."owner_epoch" := COALESCE(OLD."owner_epoch", 1) + 1;
        -- The proof of a release: an owner gave the session up, and names the epoch that this
        -- makes. It holds for the epoch after that one, so whatever comes next voids it.
        IF OLD."container_id" IS NOT NULL AND NEW."container_id" IS NULL
            AND NEW."owner_released" = NEW."owner_epoch"
        THEN
            RETURN NEW;
        END IF;
    ELSE
        NEW."owner_epoch" := COALESCE(OLD."owner_epoch", 1);
    END IF;
    NEW."owner_released" := OLD."owner_released";
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
    -- Cut, because a payload that is too long would fail the statement.
    IF TG_OP <> 'INSERT' THEN
        PERFORM pg_notify('tower_ownership', '1 ' || left(OLD."id"::text, 100));
    END IF;
    -- The same payload twice in a transaction is sent once.
    IF TG_OP <> 'DELETE' THEN
        PERFORM pg_notify('tower_ownership', '1 ' || left(NEW."id"::text, 100));
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

-- For giving up all sessions of a machine, and for looking after all that are owned.
CREATE INDEX IF NOT EXISTS "preview_sessions_tower_ownership_owner" ON "preview_sessions"
    (("container_id"::text COLLATE "C"))
    WHERE "status" IN ('active');

-- A machine's row is updated every few seconds: room in the page, and no index on the time, let
-- the server do that in place.
CREATE TABLE IF NOT EXISTS "ownership_machines" (
    machine_id text COLLATE "C" PRIMARY KEY,
    boot_id uuid NOT NULL,
    app text,
    region text,
    address text,
    version text,
    started_at timestamptz NOT NULL DEFAULT now(),
    beat_at timestamptz NOT NULL DEFAULT now(),
    draining boolean NOT NULL DEFAULT false,
    left_at timestamptz,
    gone_at timestamptz,
    rival_at timestamptz,
    -- Whether the process before had not left when this one began: it may be running.
    took_over boolean NOT NULL DEFAULT false,
    -- Since when it was heard without a gap.
    steady_since timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
ALTER TABLE "ownership_machines" ADD COLUMN IF NOT EXISTS steady_since timestamptz NOT NULL DEFAULT now();

-- One row: for how long every machine of the fleet may rely on what it read.
CREATE TABLE IF NOT EXISTS "ownership_fleet" (
    the_fleet boolean PRIMARY KEY DEFAULT true CHECK (the_fleet),
    freshness_ms bigint NOT NULL CHECK (freshness_ms > 0)
);
