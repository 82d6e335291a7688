//! The change log: what triggers append to, and what one machine at a time reads.

use super::{
    identifier::Identifier,
    migration::{literal, qualified, quoted},
    sql::{Sql, sql_file},
    table::Table,
};

/// In the upper half of the lock's key, so that no other lock has it: "tolo".
const LOCK: u64 = 0x746f_6c6f << 32;

/// A log of more pages, 64 MB, is not appended to. It is longer only if something keeps its tables
/// from being emptied.
const PAGES: u64 = 8192;

const SUFFIXES: [&str; 4] = [
    "_tower_ownership_log0",
    "_tower_ownership_log1",
    "_tower_ownership_log2",
    "_tower_ownership_lease",
];

/// The function that reads the log. It is called by its parameters: who reads, whether its last call
/// was successful, and whether listeners have to hear of a reader.
pub(super) fn read_function(table: &Table) -> String {
    qualified(table, "_tower_ownership_read")
}

/// The types of its parameters.
pub(super) const READ_PARAMETERS: &str = "(integer, boolean, boolean)";

/// The bodies of the functions, in which a placeholder stands for the schema of the table: only the
/// server knows where its `search_path` finds the table.
pub(super) struct Bodies {
    pub(super) append: String,
    pub(super) read: String,
    pub(super) home: String,
}

pub(super) fn bodies(sql: &Sql, table: &Table) -> Bodies {
    let fill = |home: &str| {
        let mut sql = sql
            .clone()
            .text("log_lock", LOCK.to_string())
            .text("log_pages", PAGES.to_string());
        for ((name, place), suffix) in [
            ("log0", "log0_place"),
            ("log1", "log1_place"),
            ("log2", "log2_place"),
            ("lease", "lease_place"),
        ]
        .into_iter()
        .zip(SUFFIXES)
        {
            let named = format!("{home}.{}", table.suffixed(suffix));
            // The schema's name comes later, and may need another kind of quote.
            sql = sql
                .text(place, format!("$tower_name${named}$tower_name$"))
                .text(name, named);
        }
        let body = |file| format!("\n{}", sql.document(file));
        [
            body(sql_file!("migration/log_append")),
            body(sql_file!("migration/log_read")),
        ]
    };
    let mut home = "@schema@".to_owned();
    while fill("").iter().any(|body| body.contains(&home)) {
        home.push('@');
    }
    let [append, read] = fill(&home);
    Bodies { append, read, home }
}

/// Adds the log, with its functions, to what the migration is filled from.
pub(super) fn add(sql: Sql, table: &Table) -> Sql {
    let Bodies { append, read, home } = bodies(&sql, table);
    let name = |suffix| literal(&table.suffixed(suffix).to_string());
    let [log0, log1, log2, lease] = SUFFIXES.map(name);
    let sql = sql
        .text("log0_literal", log0)
        .text("log1_literal", log1)
        .text("log2_literal", log2)
        .text("lease_literal", lease)
        .text("read_literal", name("_tower_ownership_read"))
        .text("notify_literal", name("_tower_ownership"))
        .text("home_literal", literal(&home))
        .text("append_body", quoted(&append))
        .text("read_body", quoted(&read));
    let body = format!("\n{}", sql.document(sql_file!("migration/log_do")));
    sql.text("log_body", quoted(&body))
        .template("log_sql", sql_file!("migration/log"))
}

/// The relations of the log, as SQL names them.
pub(super) fn relations(table: &Table) -> [String; 4] {
    SUFFIXES.map(|suffix| qualified(table, suffix))
}

/// Asks which of them are missing.
pub(super) fn missing(table: &Table) -> String {
    let names = SUFFIXES.map(|suffix| literal(table.suffixed(suffix).name()));
    format!(
        "SELECT format('%I.%I', n.nspname, log.name) FROM pg_class AS c \
         JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         CROSS JOIN unnest(ARRAY[{}]) AS log(name) \
         WHERE c.oid = to_regclass({})::oid AND NOT EXISTS (\
         SELECT FROM pg_class AS l WHERE l.relnamespace = n.oid AND l.relname = log.name)",
        names.join(", "),
        literal(&table.qualified()),
    )
}

/// Asks, as a condition, whether this role may read the log, and what is read goes to the channel.
pub(super) fn is_readable(table: &Table, channel: &Identifier) -> String {
    format!(
        "EXISTS (SELECT FROM pg_proc AS p WHERE p.oid = to_regprocedure({}) \
         AND strpos(p.prosrc, {}) > 0 AND has_function_privilege(p.oid, 'EXECUTE'))",
        literal(&format!("{}{READ_PARAMETERS}", read_function(table))),
        literal(&literal(channel.name())),
    )
}
