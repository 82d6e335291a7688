//! The SQL that makes the database keep ownership.

use crate::lookup::postgres::{
    identifier::Identifier,
    migration::{function, literal, tag, triggers},
    ownership::Ownership,
    statuses::Statuses,
    table::Table,
};

mod apply;
mod catalog;
mod epochs;
mod index;
mod tables;

pub use apply::{LeftToDo, Migrated};
pub(in crate::lookup::postgres) use catalog::{FoundIndex, missing_triggers, owner_index};
pub(in crate::lookup::postgres) use epochs::{EPOCH_TRIGGERS, epoch_function};
pub(in crate::lookup::postgres) use index::OwnerIndex;

/// A table of up to this many bytes is filled and indexed by the file itself, while it is locked:
/// some 200,000 rows, which take two seconds.
const SMALL: i64 = 32 << 20;

/// The same in pages.
const SMALL_PAGES: i64 = SMALL / 8192;

/// Writes the migration for a table; the one for the default names is the file `ownership.sql`.
pub(super) fn migration(
    table: &Table,
    ownership: &Ownership,
    statuses: Option<&Statuses>,
    channel: &Identifier,
) -> String {
    let (epochs, notifies) = (epoch_function(table), function(table));
    let columns = tables::of_sessions(table, ownership);
    let epochs_rise = epochs::statements(table, ownership);
    let changes_are_told = triggers(table, channel);
    let (machines, fleet) = (tables::machines(ownership), tables::fleet(ownership));
    let what_takes_long = what_takes_long(table, ownership, statuses);
    format!(
        r"-- Says who may serve a session: an epoch that rises with every change of owner, a proof that an
-- owner stopped before it gave the session up, and which machines are alive. And tells every
-- listening machine which session changed, when the change commits.
--
-- May be applied again and again; needs PostgreSQL 14. Apply it in one transaction, as the owner of
-- the table. It locks everybody out of the table until that transaction ends, and waits for those
-- who are using it while everybody else waits behind it: `SET lock_timeout` first. What takes long
-- on a large table (the index, and the column {of} of rows that were there before) it leaves
-- out there, and warns with the statement to run afterwards. `PostgresDirectory::migrate` and
-- `ownership migrate --run` lock less: they do only what is missing.
--
-- The server lets nobody change the type of a column that a trigger names. To do that, drop the
-- triggers, change it, and apply this again, all in one transaction. A session whose owner changes
-- while they are missing is served by no machine until this is applied again:
--     DROP FUNCTION {epochs}, {notifies} CASCADE;

{columns}
{epochs_rise}
{changes_are_told}
-- A machine's row is updated every few seconds: room in the page, and no index on the time, let
-- the server do that in place.
{machines}
-- One row: for how long every machine of the fleet may rely on what it read.
{fleet}
{what_takes_long}",
        of = ownership.epoch_of,
    )
}

/// Fills in the owners of epochs and makes the index, unless the table is large.
fn what_takes_long(table: &Table, ownership: &Ownership, statuses: Option<&Statuses>) -> String {
    let name = table.qualified();
    let relation = literal(&name);
    let fill = fill(table, ownership, &name, None);
    let filling = literal(&format!("left to do, in bites: {fill}"));
    let (ours, old) = (index::name(table), index::old_name(table));
    let (qualified, qualified_old) = (
        index::qualified_name(table),
        index::qualified_old_name(table),
    );
    let exists = literal(&qualified);
    let create = |how: &str| literal(&format!("{how} {ours} ON "));
    let now = create("CREATE INDEX IF NOT EXISTS");
    let by_hand = create("left to do: CREATE INDEX CONCURRENTLY");
    let again = create(&format!(
        "left to do: ALTER INDEX {qualified} RENAME TO {old}; CREATE INDEX CONCURRENTLY"
    ));
    let last = literal(&format!("; DROP INDEX CONCURRENTLY {qualified_old}"));
    let variables = variables(table, statuses);
    let body = format!(
        r"
{variables}
BEGIN
    IF (
        SELECT sum(pg_catalog.pg_relation_size(relid)) FROM (
            SELECT {relation}::regclass AS relid
            UNION SELECT relid FROM pg_catalog.pg_partition_tree({relation}::regclass)
        ) AS tree
    ) <= {SMALL} THEN
        IF holds_others THEN
            DROP INDEX {qualified};
        END IF;
        EXECUTE {now} || indexed;
        {fill};
    ELSE
        IF EXISTS (SELECT FROM {name} AS t WHERE {due}) THEN
            RAISE WARNING USING MESSAGE = {filling};
        END IF;
        IF to_regclass({exists}) IS NULL THEN
            RAISE WARNING USING MESSAGE = {by_hand} || indexed;
        ELSIF holds_others THEN
            RAISE WARNING USING MESSAGE = {again} || indexed || {last};
        END IF;
    END IF;
END
",
        due = due(table, ownership, "t"),
    );
    let tag = tag(&body);
    format!(
        "-- For giving up all sessions of a machine, and for looking after all that are owned, those that\n-- are being created among them.\nDO {tag}{body}{tag};\n"
    )
}

/// What the file knows only when it runs: which rows the index is to hold, and whether the one that
/// is there holds others, as an earlier form of it did.
fn variables(table: &Table, statuses: Option<&Statuses>) -> String {
    let name = table.qualified();
    let indexed = literal(&index::indexed(table, &name));
    let (Some(status), Some(statuses)) = (&table.status, statuses) else {
        return format!(
            "DECLARE
    indexed text := {indexed};
    holds_others boolean := false;"
        );
    };
    let (relation, ours) = (literal(&name), literal(&index::qualified_name(table)));
    let rows = literal(&format!(" WHERE {status} IN ("));
    let labels = index::labels(&relation, &literal(status.name()));
    let all = index::wanted(statuses, &[]);
    let all: Vec<String> = all.iter().map(|word| literal(word)).collect();
    format!(
        r"DECLARE
    -- An enum rejects every word that is not one of its labels.
    labels text[] := ARRAY({labels});
    words text[] := ARRAY(
        SELECT known.word FROM unnest(ARRAY[{all}]) WITH ORDINALITY AS known(word, place)
        WHERE known.place <= {active} OR labels = ARRAY[]::text[] OR known.word = ANY(labels)
        ORDER BY known.place
    );
    indexed text := {indexed} || {rows} || (
        SELECT string_agg(quote_literal(known.word), ', ' ORDER BY known.place)
        FROM unnest(words) WITH ORDINALITY AS known(word, place)
    ) || ')';
    holds_others boolean := EXISTS (
        SELECT FROM pg_catalog.pg_index AS i CROSS JOIN unnest(words) AS known(word)
        WHERE i.indexrelid = to_regclass({ours}) AND i.indrelid = {relation}::regclass
        AND strpos(pg_get_expr(i.indpred, i.indrelid), quote_literal(known.word)) = 0
    );",
        all = all.join(", "),
        active = statuses.active.len(),
    )
}

/// Whether the row `alias` does not say whose its epoch is.
fn due(table: &Table, ownership: &Ownership, alias: &str) -> String {
    let of = &ownership.epoch_of;
    let owner = table.owner_text(alias);
    format!("{alias}.{of} COLLATE \"C\" IS DISTINCT FROM {owner}")
}

/// Has the trigger write whose the epochs are: of rows that were there before the column, and of
/// those whose owner changed while the trigger was missing, which get an epoch of their own. The
/// epoch is named so that the change of it is notified.
fn fill(table: &Table, ownership: &Ownership, relation: &str, which: Option<&str>) -> String {
    let (epoch, of) = (&ownership.epoch, &ownership.epoch_of);
    let which = which.map_or_else(|| due(table, ownership, "t"), ToOwned::to_owned);
    format!(
        "UPDATE {relation} AS t SET {epoch} = t.{epoch}, {of} = t.{owner}::text WHERE {which}",
        owner = table.owner
    )
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
