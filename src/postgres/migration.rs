//! The SQL that makes the database tell of changes.

use super::{
    change_log,
    directory::missing_triggers,
    identifier::Identifier,
    sql::{Sql, sql_file},
    table::Table,
};

/// Writes the migration for a table; the one for the default table is the file `notify.sql`.
///
/// `UPDATE OF` decides once a statement, so a writer of other columns pays nothing. The function keeps a
/// writer that names every column from notifying of changes that are none: as a `WHEN` of the trigger,
/// the server would parse the same condition anew for each statement. A commit that notifies waits for the other commits that
/// do.
pub(super) fn migration(table: &Table, channel: &Identifier) -> String {
    sql(table, channel).document(sql_file!("migration/notify"))
}

/// What the files in `sql/migration` are filled from, of those that notify.
pub(super) fn sql(table: &Table, channel: &Identifier) -> Sql {
    let columns = columns(table);
    let list: Vec<String> = columns.iter().map(ToString::to_string).collect();
    // `IS NOT DISTINCT FROM` would take an operator from the `search_path`.
    let unchanged: Vec<String> = columns
        .iter()
        .map(|column| {
            format!(
                "(OLD.{column} OPERATOR(pg_catalog.=) NEW.{column} \
                 OR OLD.{column} IS NULL AND NEW.{column} IS NULL)"
            )
        })
        .collect();
    let sql = Sql::of(table, None)
        .text("notify_function", function(table))
        .text("channel", literal(channel.name()))
        .text("notify_columns", list.join(", "))
        .text("unchanged", unchanged.join("\n            AND "));
    let body = quoted(&body(&sql));
    sql.text("notify_body", body)
        .template("notify_sql", sql_file!("migration/notify_triggers"))
}

/// The triggers, in the order in which they are made.
pub(super) const NOTIFY_TRIGGERS: [&str; 3] = [
    "tower_ownership_row",
    "tower_ownership_change",
    "tower_ownership_truncate",
];

/// The text of the function, as the server keeps it.
pub(super) fn body(sql: &Sql) -> String {
    format!("\n{}", sql.document(sql_file!("migration/notify_function")))
}

/// The text of a function in quotes.
pub(super) fn quoted(body: &str) -> String {
    let tag = tag(body);
    format!("{tag}{body}{tag}")
}

/// A quote for the function's body that does not occur in it: names may be anything.
fn tag(body: &str) -> String {
    let mut tag = "tower_ownership".to_owned();
    while body.contains(&format!("${tag}$")) {
        tag.push('_');
    }
    format!("${tag}$")
}

/// Asks whether a trigger of the table seems to notify the channel, where one of ours is there, all of them
/// have to be; and whether this role may read its change log.
pub(super) fn is_installed(table: &Table, channel: &Identifier) -> String {
    let ours = missing_triggers(table, &function(table), &NOTIFY_TRIGGERS);
    let names: Vec<String> = NOTIFY_TRIGGERS.iter().map(|name| literal(name)).collect();
    format!(
        "WITH missing AS ({ours}), found AS (\
             SELECT t.tgname FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid \
             WHERE t.tgrelid = to_regclass({}) AND NOT t.tgisinternal \
             AND t.tgenabled IN ('O', 'A') \
             AND strpos(p.prosrc, 'pg_notify') > 0 AND strpos(p.prosrc, {}) > 0\
         ) SELECT EXISTS (SELECT FROM found WHERE tgname NOT IN ({}) OR NOT EXISTS (SELECT FROM missing)), {}",
        literal(&table.qualified()),
        literal(&literal(channel.name())),
        names.join(", "),
        change_log::is_readable(table, channel),
    )
}

/// What a beat sends, through a function, since `NOTIFY` takes no parameters and no expressions.
pub(super) fn notify(channel: &Identifier, payload: &str) -> String {
    format!(
        "SELECT pg_notify({}, {})",
        literal(channel.name()),
        literal(payload)
    )
}

/// What a verdict depends on: the id, the owner, the status, the life, the address, the epoch.
pub(super) fn columns(table: &Table) -> Vec<&Identifier> {
    let mut columns = vec![&table.id, &table.owner];
    let others = [
        &table.status,
        &table.address,
        &table.expires_at,
        &table.ended_at,
        &table.epoch,
    ];
    for column in others.into_iter().flatten() {
        // One column may hold two facts, and `UPDATE OF` takes each column once.
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    columns
}

/// One function a table, since the column of the id is written into it.
pub(super) fn function(table: &Table) -> String {
    qualified(table, "_tower_ownership")
}

/// The quoted name of a function that belongs to the table, in the table's schema.
pub(super) fn qualified(table: &Table, suffix: &str) -> String {
    let name = table.suffixed(suffix);
    match table.schema() {
        Some(schema) => format!("{schema}.{name}"),
        None => name.to_string(),
    }
}

/// A text as SQL reads it, whatever `standard_conforming_strings` says.
pub(super) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!("E'{}'", quoted.replace('\\', r"\\"))
    } else {
        format!("'{quoted}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::id::Ids;
    use crate::postgres::{
        feed::PostgresFeed,
        table::{PostgresColumns, TableNames},
    };

    fn channel(name: &str) -> Identifier {
        Identifier::parse("channel", name).unwrap()
    }

    #[test]
    fn the_file_is_the_migration_of_the_default_table() {
        let table = Table::parse(&TableNames::default(), Ids::default()).unwrap();
        let made = migration(&table, &channel(PostgresFeed::DEFAULT_CHANNEL));
        assert_eq!(made, PostgresFeed::MIGRATION, "\n{made}");
    }

    #[test]
    fn a_text_cannot_leave_its_quotes() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"a\'b"), r"E'a\\''b'");
    }

    #[test]
    fn a_column_with_two_facts_is_named_once() {
        let names = TableNames {
            columns: PostgresColumns {
                ended_at: Some("expires_at".to_owned()),
                ..PostgresColumns::default()
            },
            ..TableNames::default()
        };
        let table = Table::parse(&names, Ids::default()).unwrap();
        let columns = columns(&table);
        assert_eq!(columns.len(), 5, "{columns:?}");
    }

    #[test]
    fn names_that_are_too_long_for_a_suffix_stay_apart() {
        let function = |table: String| {
            let names = TableNames {
                table,
                ..TableNames::default()
            };
            function(&Table::parse(&names, Ids::default()).unwrap())
        };
        let one = function(format!("{}a", "ä".repeat(31)));
        let other = function(format!("{}b", "ä".repeat(31)));
        assert_ne!(one, other);
        for name in [one, other] {
            assert!(name.trim_matches('"').len() <= 63, "{name}");
        }
    }
}
