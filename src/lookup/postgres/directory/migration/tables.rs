//! The tables and columns that ownership needs beside the sessions' own.

use crate::lookup::postgres::{
    migration::{literal, tag},
    ownership::Ownership,
    table::Table,
};

/// A column of a table of ours, and its definition.
type Definition = (&'static str, &'static str);

/// Every column but the key, which the table is created with.
const MACHINES: &[Definition] = &[
    ("boot_id", "uuid NOT NULL"),
    ("app", "text"),
    ("region", "text"),
    ("address", "text"),
    ("version", "text"),
    ("started_at", "timestamptz NOT NULL DEFAULT now()"),
    ("beat_at", "timestamptz NOT NULL DEFAULT now()"),
    // Since when it was heard without a gap.
    ("steady_since", "timestamptz NOT NULL DEFAULT now()"),
    ("draining", "boolean NOT NULL DEFAULT false"),
    ("left_at", "timestamptz"),
    ("gone_at", "timestamptz"),
    ("rival_at", "timestamptz"),
    // Whether the process before had not left when this one began: it may be running.
    ("took_over", "boolean NOT NULL DEFAULT false"),
];

const FLEET: &[Definition] = &[("freshness_ms", "bigint NOT NULL CHECK (freshness_ms > 0)")];

/// The table of machines.
pub(super) fn machines(ownership: &Ownership) -> String {
    let machines = &ownership.machines;
    let columns = columns(MACHINES);
    format!(
        r#"CREATE TABLE IF NOT EXISTS {machines} (
    machine_id text COLLATE "C" PRIMARY KEY
) WITH (fillfactor = 50);
ALTER TABLE {machines}
{columns};
"#
    )
}

/// The table of the fleet.
pub(super) fn fleet(ownership: &Ownership) -> String {
    let fleet = &ownership.fleet;
    let columns = columns(FLEET);
    format!(
        r"CREATE TABLE IF NOT EXISTS {fleet} (
    the_fleet boolean PRIMARY KEY DEFAULT true CHECK (the_fleet)
);
ALTER TABLE {fleet}
{columns};
"
    )
}

/// Each by itself, so that a table of an earlier form gets what it lacks.
fn columns(definitions: &[Definition]) -> String {
    let columns: Vec<String> = definitions
        .iter()
        .map(|(name, definition)| format!("    ADD COLUMN IF NOT EXISTS {name} {definition}"))
        .collect();
    columns.join(",\n")
}

/// The columns of the sessions' table.
pub(super) fn of_sessions(table: &Table, ownership: &Ownership) -> String {
    let name = table.qualified();
    let (epoch, released, of) = (&ownership.epoch, &ownership.released, &ownership.epoch_of);
    let (filled, column) = (literal(&name), literal(epoch.name()));
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
        r#"-- A row that was there before counts as its first epoch; a new one begins as the trigger says.
ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {epoch} bigint NOT NULL DEFAULT 1;
ALTER TABLE {name} ALTER COLUMN {epoch} SET DEFAULT 0;
ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {released} bigint;

-- The owner for which the trigger set the epoch. Empty in a row that was there before, until it is
-- filled in below; NULL in a row with an owner that was written without the trigger. No default of
-- either column rewrites the table.
ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {of} text COLLATE "C" DEFAULT '';
ALTER TABLE {name} ALTER COLUMN {of} DROP DEFAULT;

-- A column that was there before may be empty in places.
DO {filling}{fill}{filling};
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_that_is_used_is_made() {
        for (made, key, used) in [
            (MACHINES, "machine_id", Ownership::MACHINE_COLUMNS),
            (FLEET, "the_fleet", Ownership::FLEET_COLUMNS),
        ] {
            let made: Vec<&str> = std::iter::once(key)
                .chain(made.iter().map(|(name, _)| *name))
                .collect();
            assert_eq!(made, used);
        }
    }
}
