//! Statements, from the files in `sql/`.
//!
//! A file is a template: `{name}` stands for the name of a table or column, or for a fragment. A
//! fragment about one row takes the row's alias: in `{is_lost m}`, each `$` of the fragment becomes
//! `m`. Everything is filled in once, when the lookup is built, except what the database has to be asked
//! for first (the statuses that the index of owners holds).

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use super::{
    identifier::Identifier, migration::literal, query::IdType, statuses::Statuses, table::Table,
};

/// The text of a file in `sql/`, in any module.
macro_rules! file {
    ($name:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/lookup/postgres/sql/",
            $name,
            ".sql"
        ))
    };
}
pub(super) use file;

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

/// Fragments that are the same for every table.
const FRAGMENTS: &[(&str, &str)] = &[
    // The owner as a text that is compared byte by byte, whatever the column's type and collation.
    // The same expression is indexed.
    ("owner_text", r#"$.{owner}::text COLLATE "C""#),
    // Whether the owner is not the one for which the trigger set the epoch: it changed while the
    // triggers were missing or disabled. An empty text stands in rows that are older than the column.
    // Treating them as changed would stop all sessions of a table until its last row is rewritten.
    (
        "drifted",
        r#"($.{epoch_of} COLLATE "C" IS DISTINCT FROM {owner_text $} AND $.{epoch_of} IS DISTINCT FROM '')"#,
    ),
    // Whether a machine has beaten within the time after which it is lost. On either side of now,
    // because a clock that was set back leaves beats in the future.
    (
        "is_heard",
        "($.beat_at BETWEEN now() - {lost_after} AND now() + {lost_after})",
    ),
    // Whether a machine has left, was declared gone, or is silent while another one was heard.
    //
    // A machine that is silent alone does not count as lost: while the database was away, or its
    // tables were locked, every machine is silent, and the first to be asked about another one would
    // take its sessions. So the silence has to be witnessed, by a machine that was heard without a gap
    // for at least that time while this one was not. The second look is made only for a silent machine.
    (
        "is_lost",
        "($.gone_at IS NOT NULL OR $.left_at IS NOT NULL \
         OR NOT {is_heard $} AND EXISTS (SELECT FROM {machines} AS w \
             WHERE {is_heard w} AND w.steady_since <= w.beat_at - {lost_after} \
             AND w.beat_at NOT BETWEEN $.beat_at - {lost_after} AND $.beat_at + {lost_after}))",
    ),
    // How a machine is, as `ownership::presence_of` reads it.
    (
        "machine_presence",
        "CASE WHEN {is_lost $} THEN 3 WHEN $.draining THEN 2 WHEN {is_heard $} THEN 1 ELSE 5 END",
    ),
    // The same for the row's column `owner`, as a smallint.
    //
    // Subqueries, because a join makes the server compare ways to do it, which takes it longer than to
    // find the session; and for many sessions at once it then reads all machines. The second one
    // depends on nothing: it is run once at most, and only if the first finds no machine.
    (
        "presence",
        r#"COALESCE((SELECT {machine_presence m} FROM {machines} AS m WHERE m.machine_id = $.owner COLLATE "C"), CASE WHEN $.owner IS NOT NULL AND (SELECT true FROM {machines} LIMIT 1) THEN 4 ELSE 0 END)::smallint"#,
    ),
    // The same for the owner of a session's row, as a text with the boot id of the owner's process. In
    // one value, because a second subquery would cost as much as the first.
    (
        "seen",
        "COALESCE((SELECT ({machine_presence m})::text || m.boot_id::text FROM {machines} AS m \
             WHERE m.machine_id = {owner_text $}), \
         CASE WHEN ({owner_text $}) IS NOT NULL AND (SELECT true FROM {machines} LIMIT 1) \
         THEN '4' ELSE '0' END)",
    ),
    // The row of machine $1, for an UPDATE that has to wait for every claim and release which is under
    // way: they hold it with FOR KEY SHARE, past which a beat gets, and no other update should.
    (
        "held",
        "(SELECT machine_id FROM {machines} WHERE machine_id = $1 FOR UPDATE) AS held",
    ),
    // $2 as a value of the owner's column, of whatever type that is.
    (
        "owner_value",
        "(jsonb_populate_record(NULL::{table}, jsonb_build_object({owner_literal}, $2))).{owner}",
    ),
    (
        "status_value",
        "(jsonb_populate_record(NULL::{table}, jsonb_build_object({status_literal}, $2))).{status}",
    ),
    // Whether a session is active, or active or starting, and its life has not ended.
    ("is_active", "{has_active_status $} AND {has_not_ended $}"),
    ("lives", "{has_living_status $} AND {has_not_ended $}"),
    // The same in the words of the index of owners, so that the planner sees that it holds all such
    // rows. The words are literals, which become values of an enum.
    (
        "is_active_by_index",
        "{is_indexed_active $} AND {has_not_ended $}",
    ),
    ("is_living", "{is_in_index $} AND {has_not_ended $}"),
    (
        "found",
        "$.{id}::{id_type}, $.{owner}::text, $.{epoch}::bigint",
    ),
    (
        "listed",
        "$.{id}::{id_type} AS id, {status_text $} AS status, $.{owner}::text AS owner, \
         $.{epoch}::bigint AS epoch, {remaining $}",
    ),
    ("owners", file!("owners")),
];

impl Sql {
    pub(super) fn new() -> Self {
        let template = |(name, text): &(&'static str, &'static str)| {
            (*name, Value::Template(Cow::Borrowed(*text)))
        };
        Self(FRAGMENTS.iter().map(template).collect())
    }

    /// The names and fragments of a table. `statuses`: `None` where the table has no status.
    pub(super) fn of(table: &Table, statuses: Option<&Statuses>, id_type: IdType) -> Self {
        let end = match (&table.ended_at, &table.status) {
            (Some(_), _) => "{ended_at} = now()",
            (None, Some(_)) => "{status} = {status_value}",
            // Then no session can be ended, and the statement is not sent.
            (None, None) => "{owner} = t.{owner}",
        };
        let sql = Self::new()
            .template("set", end)
            .text("table", table.qualified())
            .text("table_literal", literal(&table.qualified()))
            .text("id_type", id_type.name())
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
            return self.template("status_text", "NULL::text");
        };
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
        // Before PostgreSQL 17 the difference of infinite times is an error, so they are told apart
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
                .text("gap", interval(ownership.lost_after / 2))
                .template("set_address", match table.address {
                    Some(_) => ", {address} = COALESCE((SELECT m.address FROM new_owner AS m), t.{address})",
                    None => "",
                });
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
            self.fill_into(&mut filled, line, "");
        }
        filled
    }

    fn fill_into(&self, filled: &mut String, template: &str, alias: &str) {
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
                    filled.push_str(&self.fill(text));
                }
                Some(Value::Template(text)) => self.fill_into(filled, text, of),
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

/// The statements of a directory: each a file in `sql/`, or one file with more than one filling.
macro_rules! statements {
    ($($name:ident = $file:literal $({ $($key:ident: $value:literal),* })?,)*) => {
        /// The statements of a directory, filled in.
        #[derive(Debug)]
        pub(super) struct Statements {
            $(pub(super) $name: String,)*
        }

        impl Statements {
            pub(super) fn new(sql: &Sql) -> Self {
                Self {
                    $($name: sql.clone()$($(.template(stringify!($key), $value))*)?.fill(file!($file)),)*
                }
            }

            #[cfg(test)]
            fn all(&self) -> impl Iterator<Item = &String> {
                [$(&self.$name,)*].into_iter()
            }
        }
    };
}

statements! {
    claim = "claim",
    assign = "assign",
    release = "release" {
        which: "t.{id} = $3 AND t.{epoch} = $4", again: "t.{id} = $3 AND t.{epoch} = $4",
        lock: "FOR NO KEY UPDATE", has_waited: "$5", is_alone: "$6"
    },
    release_these = "release" {
        which: "{is_indexed_active t} AND t.{id} = ANY($3)", again: "{is_indexed_active t}",
        lock: "FOR NO KEY UPDATE SKIP LOCKED", is_alone: "$6",
        has_waited: "(t.{id}, t.{epoch}::bigint) IN (SELECT * FROM unnest($4, $5))"
    },
    release_others = "release" {
        which: "{is_indexed_active t} AND NOT t.{id} = ANY($3)", again: "{is_indexed_active t}",
        lock: "FOR NO KEY UPDATE SKIP LOCKED", is_alone: "$6",
        has_waited: "(t.{id}, t.{epoch}::bigint) IN (SELECT * FROM unnest($4, $5))"
    },
    owned = "owned",
    owned_count = "owned_count",
    owns_nothing = "owns_nothing",
    end = "end",
    reap_sessions = "reap_sessions",
    unassigned = "unassigned",
    machines = "machines",
    set_gone = "set_gone",
    fleet_freshness = "fleet_freshness",
    register = "register",
    beat = "beat",
    look = "look",
    put_back = "put_back",
    mark_draining = "mark_draining",
    mark_left = "mark_left",
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::postgres::{
        ownership::OwnershipNames,
        table::{PostgresColumns, TableNames},
    };

    fn sql(columns: PostgresColumns) -> Sql {
        let names = TableNames {
            columns,
            attributes: vec!["tier".to_owned()],
            ownership: Some(OwnershipNames::default()),
            ..TableNames::default()
        };
        let table = Table::parse(&names).unwrap();
        Sql::of(&table, Some(&Statuses::default()), IdType::Uuid)
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
                .text("limit", "2");
            let statements = Statements::new(&sql);
            let others = [
                file!("session"),
                file!("session_of_primary"),
                file!("sessions"),
                file!("sessions_of_owners"),
                file!("audit"),
                file!("reap_machines"),
                file!("see_machine"),
                file!("see_some_machines"),
                file!("see_sessions"),
            ];
            let others: Vec<String> = others.iter().map(|file| living.fill(file)).collect();
            for statement in statements.all().chain(&others) {
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
