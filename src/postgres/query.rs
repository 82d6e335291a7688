//! The one question that a lookup asks.

use tokio_postgres::Row;

use super::{
    PostgresConfigError,
    id::Ids,
    queue::Slot,
    row,
    sql::{Sql, sql_file},
    table::Table,
};

/// A statement that returns a session.
#[derive(Clone, Debug)]
pub(super) struct SessionQuery {
    one: String,
    /// The same for any number of sessions.
    many: Option<String>,
    /// The query of the application.
    custom: Option<String>,
    ids: Ids,
    /// Whether each row says whether the server is a standby, and there is one in any case.
    tells_standby: bool,
}

impl SessionQuery {
    /// More rows are not read for a batch. Twice as many as it has sessions: if there are fewer,
    /// every row has been seen.
    pub(super) const MOST_ROWS: usize = 2 * Slot::MOST;

    /// Rows that are enough to see that there is more than one.
    const ENOUGH: usize = 2;

    pub(super) fn of_table(table: &Table, sql: &Sql) -> Self {
        let tells_standby = table.ownership.is_some();
        let template = if tells_standby {
            sql_file!("session_of_primary")
        } else {
            sql_file!("session")
        };
        let fill = |id: &'static str, which: &'static str, limit: usize| {
            let sql = sql.clone().template("which", which);
            let sql = sql.template("id_column", id);
            sql.text("limit", limit.to_string()).fill(template)
        };
        Self {
            one: fill("", "$1", Self::ENOUGH),
            many: Some(fill(
                "t.{id}::{id_type} AS id, ",
                "ANY($1)",
                Self::MOST_ROWS,
            )),
            custom: None,
            ids: table.ids,
            tells_standby,
        }
    }

    /// Checks only what would otherwise surprise at the first request: the rest is the database's
    /// to judge, in `verify`.
    pub(super) fn custom(
        one: &str,
        many: Option<&str>,
        ids: Ids,
    ) -> Result<Self, PostgresConfigError> {
        let fill = |query: &str, inner: &str, outer: &'static str, limit: usize| {
            // The line breaks keep a trailing comment of the query from swallowing the rest.
            let sql = Sql::new().text("query", format!("\n{query}\n"));
            let sql = sql.text("inner_id", inner).text("outer_id", outer);
            sql.text("limit", limit.to_string())
                .fill(sql_file!("custom"))
        };
        let one = checked(one)?;
        let many = many.map(checked).transpose()?;
        // It may be a uuid where the parameter is a text, or the other way round.
        let id = format!("session.id::{} AS id, ", ids.column.name());
        Ok(Self {
            custom: Some(one.to_owned()),
            one: fill(one, "", "", Self::ENOUGH),
            many: many.map(|many| fill(many, &id, "s.id, ", Self::MOST_ROWS)),
            ids,
            tells_standby: false,
        })
    }

    pub(super) fn one(&self) -> &str {
        &self.one
    }

    pub(super) fn many(&self) -> Option<&str> {
        self.many.as_deref()
    }

    /// The query of the application, without what reads it.
    pub(super) fn application(&self) -> Option<&str> {
        self.custom.as_deref()
    }

    pub(super) fn tells_standby(&self) -> bool {
        self.tells_standby
    }

    /// Whether a row is that of a session.
    pub(super) fn is_session(&self, row: &Row) -> bool {
        !self.tells_standby || row::is_session(row)
    }

    pub(super) fn ids(&self) -> Ids {
        self.ids
    }
}

/// The statement as it can stand in parentheses.
fn checked(text: &str) -> Result<&str, PostgresConfigError> {
    let text = text.trim().trim_end_matches(';').trim_end();
    let reason = if text.is_empty() {
        "it is empty"
    } else if text.contains('\0') {
        "it contains a NUL"
    } else if !text.contains("$1") {
        "it does not ask for the session's id, which is its parameter $1"
    } else {
        return Ok(text);
    };
    Err(PostgresConfigError::Query { reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::PostgresIdType;

    #[test]
    fn a_custom_query_may_end_as_people_end_them() {
        for text in [
            "select owner, status from s where id = $1;",
            "select owner, status from s where id = $1 ;\n",
            "select owner, status from s where id = $1 -- by its key",
        ] {
            let query =
                SessionQuery::custom(text, None, Ids::new(PostgresIdType::Uuid, None)).unwrap();
            assert!(
                query.one().ends_with("\n) AS session LIMIT 2 ) AS s"),
                "{text}"
            );
            assert!(!query.one().contains(';'), "{text}");
        }
    }

    #[test]
    fn a_query_that_cannot_find_a_session_is_refused() {
        for text in ["", " ; ", "select owner from s", "select $1 \0"] {
            assert!(
                SessionQuery::custom(text, None, Ids::new(PostgresIdType::Uuid, None)).is_err(),
                "{text}"
            );
        }
    }
}
