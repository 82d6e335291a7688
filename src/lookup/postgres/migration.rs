//! The SQL that makes the database tell of changes.

use super::{directory::missing_triggers, identifier::Identifier, table::Table};

/// Writes the migration for a table; the one for the default table is the file `notify.sql`.
///
/// `UPDATE OF` and `WHEN` are both needed. The first decides once a statement, so a writer of other
/// columns pays nothing; the second keeps a writer that names every column from notifying of
/// changes that are none. A commit that notifies waits for the other commits that do.
pub(super) fn migration(table: &Table, channel: &Identifier) -> String {
    let function = function(table);
    let triggers = triggers(table, channel);
    format!(
        r"-- Tells every listening machine which session changed, when the change commits.
--
-- May be applied again and again; needs PostgreSQL 14. Apply it in one transaction, as the owner of
-- the table. It locks out writers of the table, not readers, until that transaction ends, and waits
-- for those who are writing: `SET lock_timeout` first where transactions are long.
--
-- The server lets nobody change the type of a column that a trigger names. To do that, or to be rid
-- of the triggers:
--     DROP FUNCTION {function} CASCADE;

{triggers}"
    )
}

/// The function and the triggers themselves.
pub(super) fn triggers(table: &Table, channel: &Identifier) -> String {
    let name = table.qualified();
    let function = function(table);
    let columns = columns(table);
    let list: Vec<String> = columns.iter().map(ToString::to_string).collect();
    let changed: Vec<String> = columns
        .iter()
        .map(|column| format!("OLD.{column} IS DISTINCT FROM NEW.{column}"))
        .collect();
    let (list, changed) = (list.join(", "), changed.join("\n        OR "));
    let body = body(table, channel);
    let tag = tag(&body);
    let [row, change, truncate] = NOTIFY_TRIGGERS;
    format!(
        r"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS {tag}{body}{tag};

CREATE OR REPLACE TRIGGER {row}
    AFTER INSERT OR DELETE ON {name}
    FOR EACH ROW EXECUTE FUNCTION {function}();

CREATE OR REPLACE TRIGGER {change}
    AFTER UPDATE OF {list} ON {name}
    FOR EACH ROW WHEN (
        {changed}
    )
    EXECUTE FUNCTION {function}();

CREATE OR REPLACE TRIGGER {truncate}
    AFTER TRUNCATE ON {name}
    FOR EACH STATEMENT EXECUTE FUNCTION {function}();
"
    )
}

/// The triggers, in the order in which they are made.
pub(super) const NOTIFY_TRIGGERS: [&str; 3] = [
    "tower_ownership_row",
    "tower_ownership_change",
    "tower_ownership_truncate",
];

/// The text of the function, as the server keeps it.
pub(super) fn body(table: &Table, channel: &Identifier) -> String {
    let (channel, id) = (literal(channel.name()), &table.id);
    format!(
        r"
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM pg_notify({channel}, '1 *');
        RETURN NULL;
    END IF;
    -- Cut, because a payload that is too long would fail the statement.
    IF TG_OP <> 'INSERT' THEN
        PERFORM pg_notify({channel}, '1 ' || left(OLD.{id}::text, 100));
    END IF;
    -- The same payload twice in a transaction is sent once.
    IF TG_OP <> 'DELETE' THEN
        PERFORM pg_notify({channel}, '1 ' || left(NEW.{id}::text, 100));
    END IF;
    RETURN NULL;
END
"
    )
}

/// A quote for the function's body that does not occur in it: names may be anything.
pub(super) fn tag(body: &str) -> String {
    let mut tag = "tower_ownership".to_owned();
    while body.contains(&format!("${tag}$")) {
        tag.push('_');
    }
    format!("${tag}$")
}

/// Asks whether a trigger of the table seems to notify the channel: one row if so. Where one of ours
/// is there, all of them have to be.
pub(super) fn is_installed(table: &Table, channel: &Identifier) -> String {
    let ours = missing_triggers(table, &function(table), &NOTIFY_TRIGGERS);
    let names: Vec<String> = NOTIFY_TRIGGERS.iter().map(|name| literal(name)).collect();
    format!(
        "WITH missing AS ({ours}), found AS (\
             SELECT t.tgname FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid \
             WHERE t.tgrelid = to_regclass({}) AND NOT t.tgisinternal \
             AND t.tgenabled IN ('O', 'A') \
             AND strpos(p.prosrc, 'pg_notify') > 0 AND strpos(p.prosrc, {}) > 0\
         ) SELECT 1 FROM found WHERE tgname NOT IN ({}) OR NOT EXISTS (SELECT FROM missing) LIMIT 1",
        literal(&table.qualified()),
        literal(&literal(channel.name())),
        names.join(", "),
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
    use crate::lookup::postgres::{
        table::{PostgresColumns, TableNames},
        watch::PostgresWatch,
    };

    fn channel(name: &str) -> Identifier {
        Identifier::parse("channel", name).unwrap()
    }

    #[test]
    fn the_file_is_the_migration_of_the_default_table() {
        let table = Table::parse(&TableNames::default()).unwrap();
        let made = migration(&table, &channel(PostgresWatch::DEFAULT_CHANNEL));
        assert_eq!(made, PostgresWatch::MIGRATION, "\n{made}");
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
        let table = Table::parse(&names).unwrap();
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
            function(&Table::parse(&names).unwrap())
        };
        let one = function(format!("{}a", "ä".repeat(31)));
        let other = function(format!("{}b", "ä".repeat(31)));
        assert_ne!(one, other);
        for name in [one, other] {
            assert!(name.trim_matches('"').len() <= 63, "{name}");
        }
    }
}
