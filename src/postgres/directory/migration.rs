//! The SQL that makes the database keep ownership.

use crate::postgres::{
    change_log,
    identifier::Identifier,
    migration::{literal, qualified, quoted, sql as notifying},
    ownership::Ownership,
    sql::{Sql, sql_file, words},
    statuses::Statuses,
    table::Table,
};

mod apply;
mod catalog;
mod index;

pub use apply::{LeftToDo, Migrated};
pub(in crate::postgres) use catalog::{FoundIndex, missing_triggers, owner_index};
pub(in crate::postgres) use index::OwnerIndex;

/// A table of up to this many bytes is filled and indexed by the file itself, while it is locked:
/// some 200,000 rows, which take two seconds.
const SMALL: i64 = 32 << 20;

/// The same in pages.
const SMALL_PAGES: i64 = SMALL / 8192;

/// The triggers that run the function of epochs, in the order of their names.
pub(in crate::postgres) const EPOCH_TRIGGERS: [&str; 2] =
    ["zz_tower_ownership_insert", "zz_tower_ownership_update"];

/// The function that raises epochs is not the one that notifies, which has a migration of its own:
/// applied later, that would replace the one function by its own, and a trigger that runs `BEFORE`
/// a write and returns NULL swallows the write.
pub(in crate::postgres) fn epoch_function(table: &Table) -> String {
    qualified(table, "_tower_ownership_epoch")
}

/// The text of the function of epochs, as the server keeps it.
fn epochs_body(sql: &Sql) -> String {
    format!("\n{}", sql.document(sql_file!("migration/epochs_function")))
}

/// Writes the migration for a table; the one for the default names is the file `ownership.sql`.
pub(super) fn migration(
    table: &Table,
    ownership: &Ownership,
    statuses: Option<&Statuses>,
    channel: &Identifier,
) -> String {
    let slow = slow(table, ownership, statuses);
    let sql = sql(table, ownership, channel).text("slow_sql", slow);
    sql.document(sql_file!("migration/ownership"))
}

/// What the files in `sql/migration` are filled from.
pub(super) fn sql(table: &Table, ownership: &Ownership, channel: &Identifier) -> Sql {
    let sql = change_log::add(notifying(table, channel), table)
        .text("epochs_function", epoch_function(table))
        .text("epoch_literal", literal(ownership.epoch.name()))
        .template(
            "epochs_reused",
            if ownership.reusable_ids {
                sql_file!("migration/epochs_reused")
            } else {
                ""
            },
        )
        // Byte by byte: a type or a collation may call two ids equal that are two sessions.
        .template("id_text", r#"$.{id}::text COLLATE "C""#)
        .template("columns_sql", sql_file!("migration/columns"))
        .template("epochs_sql", sql_file!("migration/epochs"))
        .template("machines_sql", sql_file!("migration/machines"))
        .template("fleet_sql", sql_file!("migration/fleet"));
    let fill = format!("\n{}", sql.document(sql_file!("migration/columns_fill")));
    let body = epochs_body(&sql);
    sql.text("columns_fill", quoted(&fill))
        .text("epochs_body", quoted(&body))
}

/// Fills in the owners of epochs and makes the index, unless the table is large.
fn slow(table: &Table, ownership: &Ownership, statuses: Option<&Statuses>) -> String {
    let name = table.qualified();
    let fill = fill(table, ownership, &name, None);
    let filling = literal(&format!("left to do, in bites: {fill}"));
    let (ours, old) = (index::name(table), index::old_name(table));
    let (qualified, qualified_old) = (
        index::qualified_name(table),
        index::qualified_old_name(table),
    );
    let create = |how: &str| literal(&format!("{how} {ours} ON "));
    let sql = Sql::of(table, None)
        .text("variables", variables(table, statuses))
        .text("small", SMALL.to_string())
        .text("index_literal", literal(&qualified))
        .text("now", create("CREATE INDEX IF NOT EXISTS"))
        .text("by_hand", create("left to do: CREATE INDEX CONCURRENTLY"))
        .text(
            "again",
            create(&format!(
                "left to do: ALTER INDEX {qualified} RENAME TO {old}; CREATE INDEX CONCURRENTLY"
            )),
        )
        .text("index", qualified)
        .text(
            "last",
            literal(&format!("; DROP INDEX CONCURRENTLY {qualified_old}")),
        )
        .text("fill", fill)
        .text("filling", filling)
        .text("due", due(table, ownership, "t"));
    let body = quoted(&format!("\n{}", sql.document(sql_file!("migration/slow"))));
    format!(
        "-- For giving up all sessions of a machine, and for looking after all that are owned, those that\n\
         -- are being created among them.\nDO {body};\n"
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
        all = words(&all),
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
    use crate::postgres::id::Ids;
    use crate::postgres::{
        PostgresDirectory, PostgresFeed, ownership::OwnershipNames, table::TableNames,
    };

    #[test]
    fn every_column_that_is_used_is_made() {
        for (made, used) in [
            (sql_file!("migration/machines"), Ownership::MACHINE_COLUMNS),
            (sql_file!("migration/fleet"), Ownership::FLEET_COLUMNS),
        ] {
            let made: Vec<&str> = made
                .lines()
                .filter_map(|line| line.strip_prefix("    "))
                .map(|line| line.trim_start_matches("ADD COLUMN IF NOT EXISTS "))
                .filter_map(|line| line.split(' ').next())
                .collect();
            assert_eq!(made, used);
        }
    }

    #[test]
    fn the_file_is_the_migration_of_the_default_names() {
        let names = TableNames {
            ownership: Some(OwnershipNames::default()),
            ..TableNames::default()
        };
        let table = Table::parse(&names, Ids::default()).unwrap();
        let channel = Identifier::parse("channel", PostgresFeed::DEFAULT_CHANNEL).unwrap();
        let statuses = Statuses::default();
        let ownership = table.ownership.as_ref().unwrap();
        let made = migration(&table, ownership, Some(&statuses), &channel);
        assert_eq!(made, PostgresDirectory::MIGRATION, "\n{made}");
    }
}
