//! The SQL that makes the database keep ownership.

use crate::lookup::postgres::{
    identifier::Identifier,
    migration::{function, literal, qualified, tag, triggers},
    ownership::Ownership,
    statuses::Statuses,
    table::Table,
};

/// Writes the migration for a table; the one for the default names is the file `ownership.sql`.
///
/// The function that raises epochs is not the one that notifies, which has a migration of its own:
/// applied later, that would replace the one function by its own, and a trigger that runs `BEFORE`
/// a write and returns NULL swallows the write.
pub(super) fn migration(
    table: &Table,
    ownership: &Ownership,
    statuses: Option<&Statuses>,
    channel: &Identifier,
) -> String {
    let name = table.qualified();
    let (epochs, notifies) = (epoch_function(table), function(table));
    let (epoch, released) = (&ownership.epoch, &ownership.released);
    let (machines, fleet) = (&ownership.machines, &ownership.fleet);
    let index = index(table, statuses);
    let epochs_rise = epochs_rise(table, ownership);
    let changes_are_told = triggers(table, channel);
    let filled = literal(&name);
    let column = literal(epoch.name());
    let fill = format!(
        r"
BEGIN
    IF EXISTS (
        SELECT FROM pg_catalog.pg_attribute
        WHERE attrelid = {filled}::regclass AND attname = {column} AND NOT attnotnull
    ) THEN
        UPDATE {name} SET {epoch} = 1 WHERE {epoch} IS NULL;
        ALTER TABLE {name} ALTER COLUMN {epoch} SET NOT NULL;
    END IF;
END
"
    );
    let filling = tag(&fill);
    format!(
        r#"-- Says who may serve a session: an epoch that rises with every change of owner, a proof that an
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
--     DROP FUNCTION {epochs}, {notifies} CASCADE;

-- A row that was there before counts as its first epoch; a new one begins as the trigger says.
ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {epoch} bigint NOT NULL DEFAULT 1;
ALTER TABLE {name} ALTER COLUMN {epoch} SET DEFAULT 0;
ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {released} bigint;

-- A column that was there before may be empty in places.
DO {filling}{fill}{filling};

{epochs_rise}
{changes_are_told}
-- For giving up all sessions of a machine, and for looking after all that are owned.
{index}

-- A machine's row is updated every few seconds: room in the page, and no index on the time, let
-- the server do that in place.
CREATE TABLE IF NOT EXISTS {machines} (
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
ALTER TABLE {machines} ADD COLUMN IF NOT EXISTS steady_since timestamptz NOT NULL DEFAULT now();

-- One row: for how long every machine of the fleet may rely on what it read.
CREATE TABLE IF NOT EXISTS {fleet} (
    the_fleet boolean PRIMARY KEY DEFAULT true CHECK (the_fleet),
    freshness_ms bigint NOT NULL CHECK (freshness_ms > 0)
);
"#
    )
}

/// The function and triggers by which epochs rise, whoever writes.
fn epochs_rise(table: &Table, ownership: &Ownership) -> String {
    let name = table.qualified();
    let function = epoch_function(table);
    let (epoch, released) = (&ownership.epoch, &ownership.released);
    let (id, owner) = (&table.id, &table.owner);
    // Byte by byte: a type or a collation may call two owners equal that are two machines.
    let differs = |column: &Identifier| {
        format!(
            "OLD.{column}::text COLLATE \"C\" IS DISTINCT FROM NEW.{column}::text COLLATE \"C\""
        )
    };
    let (id_differs, owner_differs) = (differs(id), differs(owner));
    let body = format!(
        r"BEGIN
    -- Whatever the writer says.
    IF TG_OP = 'INSERT' THEN
        NEW.{epoch} := CASE WHEN NEW.{owner} IS NULL THEN 0 ELSE 1 END;
        NEW.{released} := NULL;
        RETURN NEW;
    END IF;
    IF {owner_differs}
        OR {id_differs}
    THEN
        NEW.{epoch} := COALESCE(OLD.{epoch}, 1) + 1;
        -- The proof of a release: an owner gave the session up, and names the epoch that this
        -- makes. It holds for the epoch after that one, so whatever comes next voids it.
        IF OLD.{owner} IS NOT NULL AND NEW.{owner} IS NULL
            AND NEW.{released} = NEW.{epoch}
        THEN
            RETURN NEW;
        END IF;
    ELSE
        NEW.{epoch} := COALESCE(OLD.{epoch}, 1);
    END IF;
    NEW.{released} := OLD.{released};
    RETURN NEW;
END
"
    );
    let tag = tag(&body);
    format!(
        r"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS {tag}
{body}{tag};

-- Triggers run in the order of their names, and these have to see what the others made of the row.
-- No `UPDATE OF`: it would look at the statement, and another trigger may change the owner, too.
-- Nor `ENABLE ALWAYS`: a logical replica has to keep the epochs of its publisher.
CREATE OR REPLACE TRIGGER zz_tower_ownership_insert
    BEFORE INSERT ON {name}
    FOR EACH ROW EXECUTE FUNCTION {function}();

CREATE OR REPLACE TRIGGER zz_tower_ownership_update
    BEFORE UPDATE ON {name}
    FOR EACH ROW WHEN (
        {owner_differs}
        OR {id_differs}
        OR OLD.{epoch} IS DISTINCT FROM NEW.{epoch}
        OR OLD.{released} IS DISTINCT FROM NEW.{released}
    )
    EXECUTE FUNCTION {function}();
"
    )
}

/// The triggers that run that function, in the order of their names.
pub(in crate::lookup::postgres) const EPOCH_TRIGGERS: [&str; 2] =
    ["zz_tower_ownership_insert", "zz_tower_ownership_update"];

pub(in crate::lookup::postgres) fn epoch_function(table: &Table) -> String {
    qualified(table, "_tower_ownership_epoch")
}

/// The index of owners. Only active sessions are in it: a table holds many more that are over.
fn index(table: &Table, statuses: Option<&Statuses>) -> String {
    let index = table.suffixed("_tower_ownership_owner");
    let (name, owner) = (table.qualified(), &table.owner);
    let active = match active(table, statuses, None) {
        Some(active) => format!("\n    WHERE {active}"),
        None => String::new(),
    };
    format!(
        "CREATE INDEX IF NOT EXISTS {index} ON {name}\n    (({owner}::text COLLATE \"C\")){active};"
    )
}

/// Whether a row is active by its status, word for word as in the index, so that the planner sees
/// that the index holds all such rows. The words are literals, which become values of an enum.
pub(super) fn active(
    table: &Table,
    statuses: Option<&Statuses>,
    alias: Option<&str>,
) -> Option<String> {
    let (status, statuses) = (table.status.as_ref()?, statuses?);
    let words: Vec<String> = statuses.active.iter().map(|word| literal(word)).collect();
    let alias = alias.map(|alias| format!("{alias}.")).unwrap_or_default();
    Some(format!("{alias}{status} IN ({})", words.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::postgres::{
        PostgresDirectory, PostgresWatch, ownership::OwnershipNames, table::TableNames,
    };

    #[test]
    fn the_file_is_the_migration_of_the_default_names() {
        let names = TableNames {
            ownership: Some(OwnershipNames::default()),
            ..TableNames::default()
        };
        let table = Table::parse(&names).unwrap();
        let channel = Identifier::parse("channel", PostgresWatch::DEFAULT_CHANNEL).unwrap();
        let statuses = Statuses::default();
        let ownership = table.ownership.as_ref().unwrap();
        let made = migration(&table, ownership, Some(&statuses), &channel);
        assert_eq!(made, PostgresDirectory::MIGRATION, "\n{made}");
    }
}
