//! Statements, from the files in `sql/`.
//!
//! A file is a template: `{name}` stands for the name of a table or column, or for a fragment. A
//! fragment about one row takes the row's alias: in `{is_lost m}`, each `$` of the fragment becomes
//! `m`. Everything is filled in once, when the lookup is built, except what the database has to be asked
//! for first (the statuses that the index of owners holds).

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use super::{
    fragments::FRAGMENTS, identifier::Identifier, migration::literal, mode::CLAIM_LOCK,
    statuses::Statuses, table::Table,
};

/// The text of a file in `sql/`, in any module.
macro_rules! sql_file {
    ($name:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/postgres/sql/",
            $name,
            ".sql"
        ))
    };
}
pub(super) use sql_file;

/// What the placeholders of templates stand for.
#[derive(Clone, Debug)]
pub(super) struct Sql(BTreeMap<&'static str, Value>);

#[derive(Clone, Debug)]
enum Value {
    /// Goes into the statement as it is: a name may contain whatever looks like a placeholder.
    Text(String),
    /// Columns of the row with the alias.
    Columns(Vec<Identifier>),
    Template(Cow<'static, str>),
}

impl Sql {
    pub(super) fn new() -> Self {
        let template = |(name, text): &(&'static str, &'static str)| {
            (*name, Value::Template(Cow::Borrowed(*text)))
        };
        Self(FRAGMENTS.iter().map(template).collect())
    }

    /// The names and fragments of a table. `statuses`: `None` where the table has no status.
    pub(super) fn of(table: &Table, statuses: Option<&Statuses>) -> Self {
        let end = match (&table.ended_at, &table.status) {
            (Some(_), _) => "{ended_at} = now()",
            (None, Some(_)) => "{status} = {status_value}",
            // Then no session can be ended, and the statement is not sent.
            (None, None) => "{owner} = t.{owner}",
        };
        let touch = match &table.expires_at {
            Some(_) => {
                "{expires_at} = CASE \
                 WHEN t.{expires_at} < now() + $4 * interval '1 millisecond' \
                 THEN now() + $4 * interval '1 millisecond' ELSE t.{expires_at} END"
            }
            // Nor is the statement sent then.
            None => "{owner} = t.{owner}",
        };
        let sql = Self::new()
            .template("set", end)
            .template("touch", touch)
            .text("table", table.qualified())
            .text("table_literal", literal(&table.qualified()))
            .text("id_type", table.ids.column.name())
            .template("notified", table.ids.column.notified())
            .text("id", table.id.to_string())
            .text("owner", table.owner.to_string())
            .text("owner_literal", literal(table.owner.name()))
            .columns("stored", table.stored().into_iter().cloned().collect())
            .columns("attributes", table.attributes.clone());
        sql.statuses(table, statuses).life(table).session(table)
    }

    fn statuses(mut self, table: &Table, statuses: Option<&Statuses>) -> Self {
        let (Some(status), Some(statuses)) = (&table.status, statuses) else {
            for name in [
                "has_active_status",
                "has_living_status",
                "is_indexed_active",
            ] {
                self = self.template(name, "true");
            }
            return self
                .template("status_text", "NULL::text")
                .template("is_over", "NOT ({lives $})");
        };
        // With a list of those that mean over, a status that is in no list is corrupt.
        let is_over = match &statuses.over {
            None => "NOT ({lives $})",
            Some(_) => "(NOT ({lives $}) AND $.{status}::text IN ({known_words}))",
        };
        let known = statuses.living().into_iter();
        let known: Vec<String> = known
            .chain(statuses.over.clone().unwrap_or_default())
            .collect();
        self = self
            .template("is_over", is_over)
            .text("known_words", words(&known));
        self.text("status", status.to_string())
            .text("status_literal", literal(status.name()))
            .text("active_words", words(&statuses.active))
            .text("living_words", words(&statuses.living()))
            .template("status_text", "$.{status}::text")
            .template("has_active_status", "$.{status}::text IN ({active_words})")
            .template("has_living_status", "$.{status}::text IN ({living_words})")
            .template("is_indexed_active", "$.{status} IN ({active_words})")
    }

    fn life(mut self, table: &Table) -> Self {
        let ends = [
            ("expires_at", &table.expires_at),
            ("ended_at", &table.ended_at),
        ];
        let (mut times, mut conditions) = (Vec::new(), Vec::new());
        for (name, column) in ends {
            if let Some(column) = column {
                self = self.text(name, column.to_string());
                times.push(format!("$.{{{name}}}"));
                conditions.push(format!("($.{{{name}}} IS NULL OR $.{{{name}}} > now())"));
            }
        }
        // The earlier of the two times. LEAST passes over NULL.
        let end = match times.as_slice() {
            [] => {
                return self
                    .template("end", "NULL::timestamptz")
                    .template("has_not_ended", "true")
                    .template("remaining", "NULL::float8 AS remaining_seconds");
            }
            [one] => one.clone(),
            many => format!("LEAST({})", many.join(", ")),
        };
        // Before PostgreSQL 17 the difference of infinite times is an error, so they are tested
        // first; NULL and `infinity` fall through every arm and yield NULL, which means no end.
        self.template("end", end)
            .template("has_not_ended", conditions.join(" AND "))
            .template(
                "remaining",
                "CASE WHEN isfinite({end $}) THEN extract(epoch FROM {end $} - now())::float8 \
                 WHEN {end $} < now() THEN 0 END AS remaining_seconds",
            )
    }

    /// The columns from which a session is read.
    ///
    /// Texts are cast because an owner may be a `uuid` and a status an enum, and because a type that the
    /// driver does not know makes it prepare a statement, which a pooler in transaction mode answers
    /// with an error.
    fn session(mut self, table: &Table) -> Self {
        let mut columns = vec!["$.{owner}::text AS owner"];
        if table.status.is_some() {
            columns.push("{status_text $} AS status");
        }
        if let Some(address) = &table.address {
            self = self.text("address", address.to_string());
            columns.push("$.{address}::text AS address");
        }
        if table.expires_at.is_some() || table.ended_at.is_some() {
            columns.push("{remaining $}");
        }
        if let Some(epoch) = &table.epoch {
            self = self.text("epoch", epoch.to_string());
            columns.push("$.{epoch}::bigint AS epoch");
        }
        if !table.attributes.is_empty() {
            columns.push("(SELECT to_jsonb(a.*) FROM (SELECT {attributes $}) AS a) AS attributes");
        }
        if let Some(ownership) = &table.ownership {
            self = self
                .text("released", ownership.released.to_string())
                .text("epoch_of", ownership.epoch_of.to_string())
                .text("machines", ownership.machines.clone())
                .text("fleet", ownership.fleet.clone())
                .text("lost_after", interval(ownership.lost_after))
                .text("claim_lock", format!("'{}ms'", CLAIM_LOCK.as_millis()))
                .text("gap", interval(ownership.lost_after / 2))
                .template("new_address", "(SELECT m.address FROM new_owner AS m)")
                .template(
                    "set_address",
                    match table.address {
                        Some(_) => ", {address} = COALESCE({new_address}, t.{address})",
                        None => "",
                    },
                );
            columns.extend([
                "$.{released}::bigint AS released",
                "{drifted $} AS drifted",
                "{seen $} AS seen",
            ]);
        }
        self.template("session", columns.join(", "))
    }

    /// Adds the conditions that name the statuses by which the index of owners finds living sessions;
    /// `None`: no status tells.
    pub(super) fn living(&self, statuses: Option<&[String]>) -> Self {
        let sql = self.clone();
        match statuses {
            Some(statuses) => sql
                .text("indexed_words", words(statuses))
                .template("is_in_index", "$.{status} IN ({indexed_words})"),
            None => sql.template("is_in_index", "true"),
        }
    }

    pub(super) fn text(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.0.insert(name, Value::Text(text.into()));
        self
    }

    pub(super) fn template(
        mut self,
        name: &'static str,
        text: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.0.insert(name, Value::Template(text.into()));
        self
    }

    fn columns(mut self, name: &'static str, columns: Vec<Identifier>) -> Self {
        self.0.insert(name, Value::Columns(columns));
        self
    }

    /// The statement, on one line and without comments.
    pub(super) fn fill(&self, template: &str) -> String {
        let mut filled = String::new();
        let lines = template.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("--"));
        for line in lines {
            if !filled.is_empty() {
                filled.push(' ');
            }
            self.fill_into(&mut filled, line, "", Self::fill);
        }
        filled
    }

    /// The same as it stands there, for people to read.
    pub(super) fn document(&self, template: &str) -> String {
        let mut filled = String::new();
        self.fill_into(&mut filled, template, "", Self::document);
        filled
    }

    /// `lines` fills fragments of more than one line.
    fn fill_into(
        &self,
        filled: &mut String,
        template: &str,
        alias: &str,
        lines: fn(&Self, &str) -> String,
    ) {
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            push(filled, before, alias);
            let Some((placeholder, after)) = after.split_once('}') else {
                break;
            };
            rest = after;
            let (name, of) = placeholder.split_once(' ').unwrap_or((placeholder, ""));
            let of = if of == "$" { alias } else { of };
            match self.0.get(name) {
                Some(Value::Text(text)) => filled.push_str(text),
                Some(Value::Columns(columns)) => {
                    let columns: Vec<String> = columns
                        .iter()
                        .map(|column| format!("{of}.{column}"))
                        .collect();
                    filled.push_str(&columns.join(", "));
                }
                Some(Value::Template(text)) if text.contains('\n') => {
                    filled.push_str(&lines(self, text));
                }
                Some(Value::Template(text)) => self.fill_into(filled, text, of, lines),
                // A test holds that there is none.
                None => filled.extend(["{", placeholder, "}"]),
            }
        }
        push(filled, rest, alias);
    }
}

/// Adds a text in which `$.` stands for the alias.
fn push(filled: &mut String, text: &str, alias: &str) {
    if alias.is_empty() {
        filled.push_str(text);
    } else {
        filled.push_str(&text.replace("$.", &format!("{alias}.")));
    }
}

/// Words as SQL lists them.
pub(super) fn words(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| literal(word)).collect();
    words.join(", ")
}

fn interval(duration: Duration) -> String {
    format!("interval '{} milliseconds'", duration.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::id::Ids;
    use crate::postgres::{
        ownership::OwnershipNames,
        statements::Statements,
        table::{PostgresColumns, TableNames},
    };

    fn sql(columns: PostgresColumns) -> Sql {
        let names = TableNames {
            columns,
            attributes: vec!["tier".to_owned()],
            ownership: Some(OwnershipNames::default()),
            ..TableNames::default()
        };
        let table = Table::parse(&names, Ids::default()).unwrap();
        Sql::of(&table, Some(&Statuses::default()))
    }

    #[test]
    fn every_placeholder_of_a_statement_is_filled() {
        let few = PostgresColumns {
            status: None,
            address: None,
            expires_at: None,
            ended_at: None,
            ..PostgresColumns::default()
        };
        for columns in [PostgresColumns::default(), few] {
            let sql = sql(columns);
            let living = sql.living(Some(&["active".to_owned()]));
            let living = living
                .text("status", "status")
                .text("most_owners", "1")
                .text("sample", "1")
                .text("lock", "1")
                .template("no_starting", "")
                .template("condition", "true")
                .template("which", "$1")
                .template("id_column", "")
                .text("limit", "2")
                .text("places", "'a'")
                .text("epoch_function", "'f()'")
                .text("epoch_triggers", "2")
                .text("missing_triggers", "SELECT 1, 2, 3")
                .text("known_words", "'a'")
                .text("keeps_ownership", "true")
                .text("reusable_ids", "true")
                .text("written", "'a'");
            let statements = Statements::new(&sql);
            let others = [
                sql_file!("session"),
                sql_file!("session_of_primary"),
                sql_file!("sessions"),
                sql_file!("sessions_of_owners"),
                sql_file!("audit"),
                sql_file!("reap_machines"),
                sql_file!("held"),
                sql_file!("lease_ttl"),
                sql_file!("see_denied"),
                sql_file!("see_machine"),
                sql_file!("see_rivals"),
                sql_file!("see_server"),
                sql_file!("see_statuses"),
                sql_file!("see_some_machines"),
                sql_file!("find"),
                sql_file!("see_sessions"),
                sql_file!("sample_owners"),
                sql_file!("sample_statuses"),
                sql_file!("verify"),
                sql_file!("verify_ownership"),
            ];
            let others: Vec<String> = others.iter().map(|file| living.fill(file)).collect();
            for statement in statements.all().chain(others.iter().map(String::as_str)) {
                for left in ['{', '}', '\n'] {
                    assert!(!statement.contains(left), "{statement}");
                }
                // No row without an alias, and no comment.
                for left in ["$.", " .", "--"] {
                    assert!(!statement.contains(left), "{statement}");
                }
            }
        }
    }

    #[test]
    fn a_name_is_never_read_as_a_placeholder() {
        let columns = PostgresColumns {
            owner: "{table} $. {owner $}".to_owned(),
            ..PostgresColumns::default()
        };
        assert_eq!(
            sql(columns).fill("SELECT {owner_text t}\n-- not this\n  FROM {table} AS t"),
            r#"SELECT t."{table} $. {owner $}"::text COLLATE "C" FROM "preview_sessions" AS t"#
        );
    }
}
